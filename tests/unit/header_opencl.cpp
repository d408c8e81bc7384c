// SPDX-License-Identifier: MIT
// The same program as C++17, linked with the C library.
#include "header_opencl.c"
