/* echo SOCKET: answers each thing that it reads with the same, to any number of clients, one poll(2) for all: the floor of a
 * server on a Unix socket. Ends when its standard input does. */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pollfd fds[64] = {{.events = POLLIN}, {.events = POLLIN}};
    int count = 2;
    char bytes[4096];
    strncpy(address.sun_path, argv[argc - 1], sizeof address.sun_path - 1);
    fds[1].fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fds[1].fd, (struct sockaddr *)&address, sizeof address) || listen(fds[1].fd, 64)) return 1;
    while (poll(fds, count, -1) > 0 && !fds[0].revents) {
        int there = count;
        if (fds[1].revents && count < 64) fds[count++] = (struct pollfd){.fd = accept(fds[1].fd, 0, 0), .events = POLLIN};
        for (int i = 2; i < there; i++) {
            if (!fds[i].revents) continue;
            ssize_t got = read(fds[i].fd, bytes, sizeof bytes);
            if (got > 0 && write(fds[i].fd, bytes, got) == got) continue;
            close(fds[i].fd);
            fds[i] = fds[--count];
            fds[i].revents = 0;
        }
    }
}
