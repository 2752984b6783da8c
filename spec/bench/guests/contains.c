/* The filter of P15 in C: values that hold ERROR. With -DROWS the host hands over rows of the value. */
#include "millrun.h"

static bool keep(const millrun_record *r) { return millrun_contains(r->value, MILLRUN_TEXT("ERROR")); }

#ifdef ROWS
MILLRUN_FILTER(MILLRUN_VALUE, NULL, keep)
#else
MILLRUN_FILTER(MILLRUN_RAW, NULL, keep)
#endif
