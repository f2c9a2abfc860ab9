/* A JWKS on the server's disk (mentalspace.auth_jwks_file). */
#pragma once

/* The file's text in the current memory context; NULL, with a WARNING, where it cannot be read or somebody else could
 * have written it. */
const char *ms_read_jwks_file(const char *path);
