# Prints those statements of an install script's part that an update can repeat: functions, procedures and views, replaced in
# place so that what depends on them lives on; their owners, comments and rights.  Everything else (tables, types, triggers,
# DO blocks) an update script makes or alters itself.
#
# A statement begins at the start of a line and ends with the first line that ends with a semicolon outside a body in
# $$ or $tag$.
function ends(line,    rest) {
	rest = line
	while (match(rest, /\$[a-z_]*\$/)) {
		if (tag == "") tag = substr(rest, RSTART, RLENGTH)
		else if (tag == substr(rest, RSTART, RLENGTH)) tag = ""
		rest = substr(rest, RSTART + RLENGTH)
	}
	return tag == "" && line ~ /;[ \t]*(--.*)?$/
}
statement == "" && /^(--|$)/ { next }
{
	statement = statement $0 "\n"
	if (!ends($0)) next
	if (statement ~ /^CREATE (FUNCTION|PROCEDURE|VIEW)/) sub(/^CREATE/, "CREATE OR REPLACE", statement)
	if (statement ~ /^(CREATE OR REPLACE|COMMENT ON|GRANT|REVOKE|ALTER (FUNCTION|PROCEDURE|VIEW)) /) printf "\n%s", statement
	statement = ""
}
