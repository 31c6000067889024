/* For Python.h where it is compiled for 64-bit Windows with Clang: what CPython's own PC/pyconfig.h says of
   the types, and no more. Python's headers are else the same everywhere. */
#pragma once
#define MS_WINDOWS
#define MS_WIN32
#define MS_WIN64
#define SIZEOF_SHORT 2
#define SIZEOF_INT 4
#define SIZEOF_LONG 4
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOID_P 8
#define SIZEOF_SIZE_T 8
#define SIZEOF_TIME_T 8
#define SIZEOF_OFF_T 4
#define SIZEOF_FPOS_T 8
#define SIZEOF_HKEY 8
#define SIZEOF_DOUBLE 8
#define SIZEOF_FLOAT 4
#define SIZEOF_WCHAR_T 2
#define SIZEOF__BOOL 1
#define ALIGNOF_SIZE_T 8
#define ALIGNOF_MAX_ALIGN_T 8
#define HAVE_INTTYPES_H 1
#define HAVE_STDINT_H 1
#define HAVE_STDDEF_H 1
#define HAVE_LONG_LONG 1
#define HAVE_DECLSPEC_DLL 1
#define HAVE_WCHAR_H 1
#define HAVE_SSIZE_T 1
#define WITH_DOC_STRINGS 1
#define Py_ENABLE_SHARED 1
#define NT_THREADS
#define WITH_THREAD
