#include "outbox/http.h"

#include <cstring>
#include <curl/curl.h>
#include <map>
#include <memory>
#include <strings.h>

namespace mentalspace {

namespace {

/* What the callbacks of libcurl work on. */
struct Exchange {
	const HttpLimits *limits;
	HttpResponse *response;
	bool named;               /* the host is one that --allow-host names */
	bool address_refused;
	bool too_large;
};

struct FreeCurl {
	void operator()(CURL *curl) const { curl_easy_cleanup(curl); }
	void operator()(CURLU *url) const { curl_url_cleanup(url); }
	void operator()(curl_slist *list) const { curl_slist_free_all(list); }
	void operator()(char *text) const { curl_free(text); }
};
using CurlText = std::unique_ptr<char, FreeCurl>;

size_t
OnBody(char *data, size_t size, size_t count, void *arg)
{
	Exchange *exchange = static_cast<Exchange *>(arg);

	if (exchange->response->body.size() + size * count > exchange->limits->max_response) {
		exchange->too_large = true;
		return 0;
	}
	exchange->response->body.append(data, size * count);
	return size * count;
}

size_t
OnHeader(char *data, size_t size, size_t count, void *arg)
{
	HttpResponse *response = static_cast<Exchange *>(arg)->response;
	std::string line(data, size * count);

	while (!line.empty() && (line.back() == '\r' || line.back() == '\n' || line.back() == ' '))
		line.pop_back();
	const size_t colon = line.find(':');
	if (line.starts_with("HTTP/")) {
		response->headers.clear();    /* 100 Continue came before */
	} else if (colon != std::string::npos) {
		const size_t value = line.find_first_not_of(" \t", colon + 1);
		response->headers.emplace_back(line.substr(0, colon), value == std::string::npos ? "" : line.substr(value));
	}
	return size * count;
}

/* Where the decision falls: here the address is the one that is connected to, whatever the name resolves to next
 * time. */
curl_socket_t
OnSocket(void *arg, curlsocktype, curl_sockaddr *address)
{
	Exchange *exchange = static_cast<Exchange *>(arg);

	if (!exchange->named && !AddressIsPublic(&address->addr)) {
		exchange->address_refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int
OnProgress(void *arg, curl_off_t, curl_off_t, curl_off_t, curl_off_t)
{
	const Exchange *exchange = static_cast<Exchange *>(arg);
	return exchange->limits->give_up && exchange->limits->give_up() ? 1 : 0;
}

bool
HasControl(const std::string &text)
{
	for (unsigned char c : text)
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	return false;
}

/* The host of the URL; empty and *error set if the URL is not one to send a request to. */
std::string
HostOf(const std::string &text, std::string *error)
{
	std::unique_ptr<CURLU, FreeCurl> url(curl_url());
	char *part = nullptr;

	if (!url || HasControl(text) || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
		*error = "invalid url";
		return "";
	}
	if (curl_url_get(url.get(), CURLUPART_SCHEME, &part, 0) == CURLUE_OK) {
		CurlText scheme(part);
		if (strcmp(part, "http") != 0 && strcmp(part, "https") != 0)
			*error = "the scheme of the url is neither http nor https";
	}
	if (curl_url_get(url.get(), CURLUPART_USER, &part, 0) == CURLUE_OK) {
		CurlText user(part);
		*error = "the url holds a user name";
	}
	if (!error->empty() || curl_url_get(url.get(), CURLUPART_HOST, &part, 0) != CURLUE_OK) {
		if (error->empty())
			*error = "the url has no host";
		return "";
	}
	CurlText host(part);
	return part;
}

}  // namespace

HttpResponse
SendRequest(const HttpRequest &request, const HttpLimits &limits)
{
	HttpResponse response;
	const std::string host = HostOf(request.url, &response.error);
	Exchange exchange = {&limits, &response, HostIsNamed(limits.allowed, host), false, false};

	if (!response.error.empty())
		return response;
	if (!limits.allowed.empty() && !exchange.named) {
		response.error = "the host is not one that mentalspace-outbox may send to (--allow-host)";
		return response;
	}

	std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
	curl_slist *list = curl_slist_append(nullptr, "Expect:");
	for (const auto &[name, value] : request.headers) {
		if (HasControl(name) || HasControl(value) || name.empty() || name.find_first_of(": ;") != std::string::npos) {
			response.error = "invalid header";
			break;
		}
		/* An empty value after a colon would tell libcurl to leave the header out. */
		list = curl_slist_append(list, (value.empty() ? name + ";" : name + ": " + value).c_str());
	}
	std::unique_ptr<curl_slist, FreeCurl> headers(list);
	if (!response.error.empty())
		return response;

	char message[CURL_ERROR_SIZE] = "";
	CURL *c = curl.get();
	CURLcode code = curl_easy_setopt(c, CURLOPT_URL, request.url.c_str());
	const auto set = [&](CURLoption option, auto value) {
		if (code == CURLE_OK)
			code = curl_easy_setopt(c, option, value);
	};
#if LIBCURL_VERSION_NUM >= 0x075500
	set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
	set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	set(CURLOPT_NOSIGNAL, 1L);
	set(CURLOPT_PROXY, "");            /* a proxy of the environment would be where the check of addresses ends */
	set(CURLOPT_FOLLOWLOCATION, 0L);   /* a redirect could lead anywhere, with the headers meant for this host */
	set(CURLOPT_HTTPHEADER, headers.get());
	set(CURLOPT_USERAGENT, "mentalspace-outbox/" MS_VERSION);
	set(CURLOPT_TIMEOUT_MS, request.timeout_milliseconds);
	set(CURLOPT_ERRORBUFFER, message);
	set(CURLOPT_WRITEFUNCTION, OnBody);
	set(CURLOPT_WRITEDATA, &exchange);
	set(CURLOPT_HEADERFUNCTION, OnHeader);
	set(CURLOPT_HEADERDATA, &exchange);
	set(CURLOPT_OPENSOCKETFUNCTION, OnSocket);
	set(CURLOPT_OPENSOCKETDATA, &exchange);
	set(CURLOPT_XFERINFOFUNCTION, OnProgress);
	set(CURLOPT_XFERINFODATA, &exchange);
	set(CURLOPT_NOPROGRESS, 0L);
	if (request.has_body || strcasecmp(request.method.c_str(), "POST") == 0) {
		set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
		set(CURLOPT_POSTFIELDS, request.body.c_str());
	}
	set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
	if (code == CURLE_OK)
		code = curl_easy_perform(c);

	(void) curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &response.status);
	const char *type = nullptr;
	if (curl_easy_getinfo(c, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type)
		response.content_type = type;
	if (code == CURLE_OK)
		return response;
	response.timed_out = code == CURLE_OPERATION_TIMEDOUT;
	response.interrupted = code == CURLE_ABORTED_BY_CALLBACK;
	if (exchange.address_refused)
		response.error = "the host has a private address, which needs --allow-host";
	else if (exchange.too_large)
		response.error = "the response is larger than " + std::to_string(limits.max_response) + " bytes";
	else
		response.error = message[0] ? message : curl_easy_strerror(code);
	return response;
}

std::string
ToUtf8(const std::string &bytes)
{
	std::string text;
	text.reserve(bytes.size());
	for (size_t i = 0; i < bytes.size();) {
		const unsigned char lead = bytes[i];
		const size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : (lead & 0xf0) == 0xe0 ? 3
			: lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
		bool valid = lead != 0 && length != 0 && i + length <= bytes.size();
		for (size_t k = 1; valid && k < length; k++)
			valid = (static_cast<unsigned char>(bytes[i + k]) & 0xc0) == 0x80;
		if (valid && length > 2) {
			const unsigned char second = bytes[i + 1];
			/* Not too long, no surrogates, not above U+10FFFF (RFC 3629). */
			valid = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0) &&
				!(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second >= 0x90);
		}
		if (valid) {
			text.append(bytes, i, length);
			i += length;
		} else {
			text += "\xef\xbf\xbd";
			i++;
		}
	}
	return text;
}

std::string
HeadersToJson(const std::vector<std::pair<std::string, std::string>> &headers)
{
	std::map<std::string, std::string> joined;
	for (const auto &[name, value] : headers) {
		std::string &all = joined[ToUtf8(name)];
		all += (all.empty() ? "" : ", ") + ToUtf8(value);
	}
	const auto quoted = [](const std::string &text) {
		static constexpr char hex[] = "0123456789abcdef";
		std::string out = "\"";
		for (char c : text) {
			if (c == '"' || c == '\\')
				(out += '\\') += c;
			else if (static_cast<unsigned char>(c) < 0x20)
				((out += "\\u00") += hex[c >> 4]) += hex[c & 15];
			else
				out += c;
		}
		return out += '"';
	};
	std::string json = "{";
	for (const auto &[name, value] : joined)
		json += (json.size() > 1 ? "," : "") + quoted(name) + ":" + quoted(value);
	return json + "}";
}

}  // namespace mentalspace
