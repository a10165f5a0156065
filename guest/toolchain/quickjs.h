/* Included before each C file of QuickJS.
 *
 * QuickJS looks for a stack overflow, and throws a RangeError, everywhere but
 * where __wasi__ is defined. In this engine the check works: scripts run on the
 * stack in linear memory, which is where QuickJS looks. What else it asks
 * __wasi__ for, rquickjs-sys answers by defining EMSCRIPTEN. The C library's own
 * headers do need the macro, so they come first.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <float.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#undef __wasi__
