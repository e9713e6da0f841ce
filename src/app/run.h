/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Run: the long-running shapes, as one object whose constructor is the order of start and whose end
 * is its mirror. They differ in what they have: directories or an API server, hooks or none.
 */

/* Each: argv[0] is the shape's name. Returns the exit code: 0 stopped by a signal, 1 could not
 * start, 2 usage. */
int cmd_run(int argc, char **argv);
int cmd_operator(int argc, char **argv);
int cmd_extension(int argc, char **argv);
