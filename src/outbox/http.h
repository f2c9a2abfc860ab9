/* One HTTP exchange, by libcurl: no redirects, no proxies, no cookies, certificates checked. */
#pragma once

#include "outbox/policy.h"

#include <string>
#include <utility>
#include <vector>

namespace mentalspace {

struct HttpRequest {
	std::string method;
	std::string url;
	std::vector<std::pair<std::string, std::string>> headers;
	bool has_body = false;
	std::string body;
	long timeout_milliseconds = 0;
};

struct HttpResponse {
	long status = 0;             /* 0: there was no answer */
	bool timed_out = false;
	bool interrupted = false;    /* given up because the process is to end: nothing is to be recorded */
	std::string error;           /* empty: the exchange is complete */
	std::string content_type;
	std::vector<std::pair<std::string, std::string>> headers;
	std::string body;
};

struct HttpLimits {
	HostPatterns allowed;          /* empty: every public host */
	size_t max_response = 0;       /* bytes of body */
	bool (*give_up)() = nullptr;   /* asked now and then during an exchange */
};

/* Sends the request and waits for the answer.  Every failure is in the result. */
HttpResponse SendRequest(const HttpRequest &request, const HttpLimits &limits);

/* The text as valid UTF-8 without NUL: each byte that is not part of it becomes U+FFFD. */
std::string ToUtf8(const std::string &bytes);

/* The headers as a JSON object; values of headers of the same name are joined by ", " (RFC 9110, section 5.3). */
std::string HeadersToJson(const std::vector<std::pair<std::string, std::string>> &headers);

}  // namespace mentalspace
