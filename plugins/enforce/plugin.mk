# SPDX-License-Identifier: AGPL-3.0-or-later
enforce_LIBS := -ljansson
enforce_PROGRAM := linnix-guardian
enforce_PROGRAM_SRCS := plugins/enforce/guardian.c plugins/enforce/undo.c
