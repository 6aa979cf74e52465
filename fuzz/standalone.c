/* standalone.c: a main for a fuzz target where there is no libFuzzer: runs the files it is given, in order, and says so. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (f == NULL) {
            perror(argv[i]);
            return 1;
        }
        uint8_t *bytes = NULL;
        size_t n = 0, room = 0;
        for (;;) {
            if (n == room && (bytes = realloc(bytes, room = room * 2 + 4096)) == NULL) return 1;
            size_t got = fread(bytes + n, 1, room - n, f);
            if (got == 0) break;
            n += got;
        }
        fclose(f);
        /* A block of exactly this size, so that the sanitizer sees the first byte read behind it. */
        uint8_t *exact = malloc(n != 0 ? n : 1);
        if (exact == NULL) return 1;
        for (size_t k = 0; k < n; k++) exact[k] = bytes[k];
        LLVMFuzzerTestOneInput(exact, n);
        free(exact);
        free(bytes);
        printf("%s: %zu bytes, no finding\n", argv[i], n);
    }
    return argc > 1 ? 0 : 2;
}
