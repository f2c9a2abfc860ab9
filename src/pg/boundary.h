/* Between C++ exceptions and PostgreSQL's longjmp.
 *
 * Guarded(f) runs C++ code that may throw and never lets an exception out; what went wrong is left in a Failure, a plain
 * struct that can be raised as a PostgreSQL error after every destructor has run:
 *
 *     Failure failure;
 *     if (!Guarded(&failure, [&]() { ... }))
 *         raise_failure(&failure);
 *
 * Inside the call no PostgreSQL function that can raise an error may be called. */
#pragma once

#include "pg/prelude.h"

#include <cstring>
#include <exception>
#include <new>

namespace mentalspace {

/* Trivially destructible on purpose: it outlives the guarded call and is read by ereport. */
struct Failure {
	int sqlstate;
	char message[256];
};

inline void
SetFailure(Failure *failure, int sqlstate, const char *message) noexcept
{
	failure->sqlstate = sqlstate;
	std::strncpy(failure->message, message, sizeof(failure->message) - 1);
	failure->message[sizeof(failure->message) - 1] = '\0';
}

/* Calls f().  Returns false and fills *failure when f threw: out of memory (53200) or an internal error (XX000). */
template <typename F>
[[nodiscard]] bool
Guarded(Failure *failure, F &&f) noexcept
{
	try {
		f();
		return true;
	} catch (const std::bad_alloc &) {
		SetFailure(failure, ERRCODE_OUT_OF_MEMORY, "out of memory");
	} catch (const std::exception &e) {
		SetFailure(failure, ERRCODE_INTERNAL_ERROR, e.what());
	} catch (...) {
		SetFailure(failure, ERRCODE_INTERNAL_ERROR, "unknown C++ exception");
	}
	return false;
}

/* Raises the failure as an ERROR.  Only to be called where nothing with a destructor is alive. */
[[noreturn]] inline void
raise_failure(const Failure *failure)
{
	ereport(ERROR, (errcode(failure->sqlstate), errmsg("%s", failure->message)));
	pg_unreachable();
}

}  // namespace mentalspace
