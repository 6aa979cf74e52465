/* identity.h: what the fuzz targets prove themselves with. The key is known to everybody: it is worth nothing anywhere else. */
#ifndef FUZZ_IDENTITY_H
#define FUZZ_IDENTITY_H

static const char fuzz_certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIDOzCCAiOgAwIBAgIUf+Cc1CCeaZyTCg2inFSlFC083MwwDQYJKoZIhvcNAQEL\n"
    "BQAwGTEXMBUGA1UEAwwOYWt1c2h1IGZ1enppbmcwIBcNMjYxMTIyMTcxNTA0WhgP\n"
    "MjEyNjEwMjkxNzE1MDRaMBkxFzAVBgNVBAMMDmFrdXNodSBmdXp6aW5nMIIBIjAN\n"
    "BgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAoJdPm7hHhhQ0rX5u7UMdCEL5refh\n"
    "p2XxRpUQfuBB9omhj9pNSQInBDn43ZZOlmpKUjiie8vyf+Y/mzjcqCmJi8s8crq0\n"
    "Lq1WWfw8oHLuEQSklJhG2DLu108rfhQ0O+BJmZwz88CgzZ+5i+fwXadIQaPquCGI\n"
    "Vjf7D0Hdhq2cqcagTWgzUAeT38iAE4WXWXRD49v7M+Bsr+sHwl9Yyjbty8vaYve0\n"
    "KEAM01o8X9kwMUPzu2S5q2qfbW0C49TyVnoJfla8IlpzqguqVTq02+7txgAfRZtG\n"
    "8AEVBICeuHCD4pIrxGejgybLg8Sfg768NX4UOIks0UpIw3MK9fmfeo7gCQIDAQAB\n"
    "o3kwdzAdBgNVHQ4EFgQUqGf4vxPCZ/cZX7IgrhPulXr3IcgwHwYDVR0jBBgwFoAU\n"
    "qGf4vxPCZ/cZX7IgrhPulXr3IcgwDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTAL\n"
    "gglsb2NhbGhvc3QwDgYDVR0PAQH/BAQDAgKkMA0GCSqGSIb3DQEBCwUAA4IBAQB9\n"
    "jqgEkVm7Py1kJbpcHiijK7CF3b12A8BZkMItVIX/QHBAKDlpuUpJaQkhpbgEoXOr\n"
    "79j4HUR+cqoC2N/QYlMxexSIg9Yy2L/GhzWTGl8zIXDTs/Y+Rn88nxvNOG7GHeMb\n"
    "141QMM8wJ7ycmNYCg8bhhY9fk2H44Kac0zuOlsuVmSWsUZTTKpwzqtGLWHBFptX6\n"
    "JUE7we3fz5ufFYSQY2LqlKl/MCg2unGUs1fo4z4VWHrQ1uOw20Gz6BMLTMbDQFRh\n"
    "nsREX7BieeJepZQ53CYe7KHm4CNhtH9+xGXRHOKR4rNMOgUNTOjJ1+ta59buuGQv\n"
    "Ur0TsFBbmho14L/Em6Wz\n"
    "-----END CERTIFICATE-----\n";

static const char fuzz_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQCgl0+buEeGFDSt\n"
    "fm7tQx0IQvmt5+GnZfFGlRB+4EH2iaGP2k1JAicEOfjdlk6WakpSOKJ7y/J/5j+b\n"
    "ONyoKYmLyzxyurQurVZZ/Dygcu4RBKSUmEbYMu7XTyt+FDQ74EmZnDPzwKDNn7mL\n"
    "5/Bdp0hBo+q4IYhWN/sPQd2GrZypxqBNaDNQB5PfyIAThZdZdEPj2/sz4Gyv6wfC\n"
    "X1jKNu3Ly9pi97QoQAzTWjxf2TAxQ/O7ZLmrap9tbQLj1PJWegl+VrwiWnOqC6pV\n"
    "OrTb7u3GAB9Fm0bwARUEgJ64cIPikivEZ6ODJsuDxJ+Dvrw1fhQ4iSzRSkjDcwr1\n"
    "+Z96juAJAgMBAAECggEACiGRmaLWDEzhB+L2j4xQ3BERnFmJIFzrjEbiLAbs0mdb\n"
    "ZG5iuszidj9MBnqxiYa6GpbNFV9H9K6ra5j6PrekIEgZj6lcracsz+98SakGgNdY\n"
    "pLE4ovIPpFCvzzvqEa70Jbc3hdSssFw3we5HeTkQ82cqayRebAYLFirTFWiFfiZa\n"
    "pXcK7RJqWb7OKt/8AmTeNdot1H4e6NgkP9mlLftOUxTP+byuANFvyzTqEXgWCKmw\n"
    "aCf7OtCs4IoD+/edJ8+Asskr5TrGTl8KIE6AtM5qdLbQ0mI7foTksspd0ni8uTqe\n"
    "VPj9mwGzgCN5JSse/e6RzVma4gga2ABJ5VmBwXpWSQKBgQDQ0v5xT3FVIRcBy99a\n"
    "ecUmkpxwvYZNae9eEGm5CrMS1dbTemvCbDJ47XjRLMD9oJ/+NLEvhHLa5oXpUj1/\n"
    "WNbIEh5PMY6yEWlsqU3tCk48HTDwluTF3v8+iEWbblYSvlkpuiYSb407q+mx3zUm\n"
    "U4iJjLbRC86qviVIGVGf0xMuJQKBgQDE3tUZdFJLfXP7rwMXTAxTW7AwfB0LzWUC\n"
    "s+qZy86CbMzeoK5jA4KYiG7yP/6v5xBvY/D4KYMqBzwE27ONZ0p+28YVLY7TouQH\n"
    "aPPejfmHs7CnkKX6yBsOUu1cVmvaICVYYQuRwgD+11ScTf2UNSRmLO0vfdgxQVM3\n"
    "YhCKadaLFQKBgQCVsElX6/xva3LUhNGsR1F9XubpIdIdt+wv31AJppPK0qJVoZGR\n"
    "IoHjkUZjmtMUe4l0bUz9pNG3/DrNj3gpywLbE7HKTtnc5wJNM+d6HUMLcFlefKus\n"
    "8zbAGmrbCfKFKRE9CgS0fmYc+hRgvoGY4ZQkFUwO+YnBdt++mPebu3AqSQKBgQC9\n"
    "lr5vwfaSnmD4iuUWJXVlPVIijxPFzuosvSj7LStVrQNqjiECV1oIHLODdZ+GtKW+\n"
    "L+fahNe8vLTPFOkIDuXN30YWFQaLxz2D6U2ZEO6yAZjo9cLyDI0JsVDGcK9yoyxz\n"
    "vRlQKB2fTa08zVqbxMWl5DQSXUW6wWcrWbQGJ8CltQKBgQC4SVdr50AJ4i6F2/bh\n"
    "FEw04t8UBTmac/XErc+T75QQV5JUkKQalMTfMIgPZk2YvLRYJtkrcqpq56HTYsP6\n"
    "YFOodrUfF447zmSTH9bLaXgHLISFfpaAFi6JMHXIs0U1kDEAfLl1L6bUlpDQaO/p\n"
    "CrjCTdDvD+9dou7A6sNW9wlzXw==\n"
    "-----END PRIVATE KEY-----\n";

#endif
