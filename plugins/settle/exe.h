/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Which program a process runs: the SHA-256 of its file. */
#ifndef LNX_SETTLE_EXE_H
#define LNX_SETTLE_EXE_H

#include <stddef.h>
#include <stdint.h>

#define EXE_BYTES (64u << 20) /* of a file that is read; larger ones are not */

/* The file that process (pid, start_ns) runs now. It reads, so it is for a job. 0, or: -ESRCH, it ended or is another one; -ENODEV, its file
 * is not on a file system of this machine and reading might wait for somebody; -EFBIG; -errno of opening and reading. */
int exe_hash(uint32_t pid, uint64_t start_ns, uint8_t ret[32]);

struct collector;
struct leaf;

/* The first process of the task runs another program, as <exec> says: look at it beside the loop. */
void exe_begin(struct collector *c, const struct leaf *exec);

#endif
