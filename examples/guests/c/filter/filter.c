/* Keeps the records whose value holds a text, or whose JSON has a field that says a value.

   --config text=WORD, or --config field=customer.country --config value=NL */
#include "millrun.h"

static millrun_bytes text, want;
static millrun_path path;

static bool configure(const millrun_config *config) {
	static const char *const keys[] = {"text", "field", "value", NULL};
	if (!millrun_config_only(config, keys)) return false;
	millrun_bytes field = millrun_config_get(config, "field");
	text = millrun_config_get(config, "text");
	want = millrun_config_get(config, "value");
	if (text.p != NULL && field.p == NULL && want.p == NULL)
		return text.n > 0 || millrun_refuse(MILLRUN_TEXT("text is empty: every record would match"));
	if (text.p != NULL || field.p == NULL || want.p == NULL) return millrun_refuse(MILLRUN_TEXT("give either text, or field and value"));
	path = millrun_path_of(field);
	return path.n > 0 || millrun_refuse(MILLRUN_TEXT("field: no path like a.b.0"));
}

static bool keep(const millrun_record *r) {
	if (text.p != NULL) return millrun_contains(r->value, text);
	millrun_bytes field = millrun_json_field(r->value, path);
	return field.p != NULL && millrun_equals(millrun_json_text(field), want);
}

MILLRUN_FILTER(MILLRUN_VALUE, configure, keep)
