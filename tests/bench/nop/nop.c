/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* The smallest program there is to run: what is measured then is fork, exec and exit, not a loader. */
#include <sys/syscall.h>

void _start(void);

void _start(void)
{
#if defined(__x86_64__)
	__asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(0) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = SYS_exit_group;
	register long x0 __asm__("x0") = 0;

	__asm__ volatile("svc 0" : : "r"(x8), "r"(x0) : "memory");
#else
#error "bench: how does a process end here?"
#endif
	__builtin_unreachable();
}
