# For tests only: a shell and its tools, out of the static busybox of the machine.

FROM scratch
ADD rootfs.tar /
CMD ["/bin/sh"]
