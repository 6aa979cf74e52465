#include "wire/registry.h"

#include <stdio.h>

#include <string.h>

struct entry {
    uint16_t registry;
    uint32_t value;
    const char *name;
};

static const struct entry names[] = {
#define AK_CODE(registry, enumerator, name, value) {AK_REG_##registry, value, name},
#define AK_NAME(registry, name, value) {AK_REG_##registry, value, name},
#define AK_ALIAS(registry, name, value)
#include "wire/registry.def"
#undef AK_CODE
#undef AK_NAME
#undef AK_ALIAS
};

static const struct entry aliases[] = {
#define AK_CODE(registry, enumerator, name, value)
#define AK_NAME(registry, name, value)
#define AK_ALIAS(registry, name, value) {AK_REG_##registry, value, name},
#include "wire/registry.def"
#undef AK_CODE
#undef AK_NAME
#undef AK_ALIAS
};

static const char *const registries[AK_REG_COUNT] = {
    "none",
#define AK_ONE_REGISTRY(name) #name,
    AK_REGISTRIES(AK_ONE_REGISTRY)
#undef AK_ONE_REGISTRY
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* first: the first entry that is not before (reg, value). */
static size_t first(unsigned reg, uint32_t value) {
    size_t low = 0, high = COUNT(names);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (names[mid].registry < reg || (names[mid].registry == reg && names[mid].value < value))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const char *ak_name(ak_registry reg, uint32_t value) {
    size_t i = first(reg, value);
    return i < COUNT(names) && names[i].registry == reg && names[i].value == value ? names[i].name : NULL;
}

ak_words_text ak_words_of(ak_registry reg, uint16_t value) {
    ak_words_text out;
    const char *name = ak_name(reg, value);
    if (name != NULL) snprintf(out.s, sizeof out.s, "%s", name);
    else snprintf(out.s, sizeof out.s, "0x%04x", value);
    return out;
}

bool ak_registry_entry(ak_registry reg, size_t i, const char **name, uint32_t *value) {
    size_t from = first(reg, 0);
    if (i >= COUNT(names) - from || names[from + i].registry != reg) return false;
    *name = names[from + i].name;
    *value = names[from + i].value;
    return true;
}

/* The next character that counts in a friendly spelling, in lower case; 0 at the end. Locales have no say in it. */
static int next_letter(const char **s) {
    while (**s != '\0' && strchr("-_. /", **s) != NULL) (*s)++;
    char c = **s;
    if (c == '\0') return 0;
    (*s)++;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool alike(const char *a, const char *b) {
    int x, y;
    do {
        x = next_letter(&a);
        y = next_letter(&b);
    } while (x == y && x != 0);
    return x == y;
}

static bool find(const struct entry *e, size_t n, unsigned reg, const char *name, bool (*same)(const char *, const char *), uint32_t *value) {
    for (size_t i = 0; i < n && e[i].registry <= reg; i++) {
        if (e[i].registry == reg && same(e[i].name, name)) {
            *value = e[i].value;
            return true;
        }
    }
    return false;
}

static bool same_exactly(const char *a, const char *b) { return strcmp(a, b) == 0; }

bool ak_number(ak_registry reg, const char *name, uint32_t *value) {
    size_t from = first(reg, 0);
    const struct entry *own = names + from;
    size_t n = COUNT(names) - from;
    return find(own, n, reg, name, same_exactly, value) || find(own, n, reg, name, alike, value) ||
           find(aliases, COUNT(aliases), reg, name, alike, value);
}

const char *ak_registry_name(ak_registry reg) { return (unsigned)reg < AK_REG_COUNT ? registries[reg] : NULL; }

ak_registry ak_registry_find(const char *name) {
    for (unsigned i = 0; i < AK_REG_COUNT; i++)
        if (strcmp(registries[i], name) == 0) return (ak_registry)i;
    return AK_REG_COUNT;
}
