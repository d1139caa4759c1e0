// System lz4, as Debian ships it (liblz4-dev).
#include <lz4.h>
