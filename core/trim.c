/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Resident memory. Loading objects, parsing the kernel's types and setting up TLS touch megabytes of code and heap that a
 * running agent never looks at again. */
#include "trim.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MMAP_BYTES 131072 /* allocations from here on are mappings of their own */

void lnx_trim_init(void)
{
	/* Without this the threshold grows with the largest block freed, and large tables then lie in
	 * used heap, zeroed page by page, rather than in fresh pages that cost nothing until touched. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, MMAP_BYTES);
	/* Workers allocate little: no heaps of their own. */
	(void)mallopt(M_ARENA_MAX, 1);
}

/* Whether the loader wrote into the code of <info>: then it may not be dropped. */
static int trim_has_textrel(const struct dl_phdr_info *info)
{
	const ElfW(Dyn) * dyn;
	unsigned i;

	for (i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		dyn = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		for (; dyn->d_tag != DT_NULL; dyn++)
			if (dyn->d_tag == DT_TEXTREL ||
			    (dyn->d_tag == DT_FLAGS && dyn->d_un.d_val & DF_TEXTREL))
				return 1;
	}
	return 0;
}

static int trim_object(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from, to;
	unsigned i;

	(void)bytes;
	(void)arg;
	if (trim_has_textrel(info))
		return 0;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		/* code and constants; what the loader relocated lies in writable segments */
		if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		from = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		to = info->dlpi_addr + p->p_vaddr + p->p_memsz;
		/* a failure leaves the pages where they are */
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void lnx_trim(void)
{
	(void)malloc_trim(0);
	(void)dl_iterate_phdr(trim_object, NULL);
}
