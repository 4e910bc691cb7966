/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Takes the name of its argument (15 bytes of it), forks a child that ends at once, and waits for the end of its input. */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char byte;
	pid_t child;

	if (argc != 2 || prctl(PR_SET_NAME, argv[1]) != 0)
		return 1;
	child = fork();
	if (child == 0)
		_exit(0);
	if (child < 0 || waitpid(child, NULL, 0) != child)
		return 1;
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
