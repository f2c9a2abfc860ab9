/* PostgreSQL's own JSON parser behind core's interface.  Compiles in the server and, with FRONTEND, outside of it: unit
 * tests and fuzzers run the same code. */
#pragma once

#include "core/json.h"

namespace mentalspace {

/* A JsonParser (see core/json.h).  Never raises a PostgreSQL error and leaves no memory behind in the server. */
JsonOutcome ReadJson(std::string_view text, JsonSink *sink);

}  // namespace mentalspace
