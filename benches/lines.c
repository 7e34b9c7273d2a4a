/* lines COUNT FIFO: writes so many lines of 100 bytes, one write(2) each, and says how many nanoseconds that took. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec from, to;
    char line[101], text[64];
    long count = atol(argv[1]);
    memset(line, '.', sizeof line);
    line[99] = '\n';
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long i = 0; i < count; i++) {
        char number[10];
        for (long n = i, at = 8; at >= 0; at--, n /= 10) number[at] = '0' + n % 10;
        memcpy(line, number, 9);
        for (size_t done = 0; done < 100;) {
            ssize_t wrote = write(1, line + done, 100 - done);
            if (wrote < 0) return 1;
            done += wrote;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    long long took = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
    int fifo = open(argv[2], O_WRONLY);
    int size = snprintf(text, sizeof text, "%d %lld\n", (int)getpid(), took);
    return write(fifo, text, size) != size;
}
