#include "outbox/policy.h"

#include <cstdint>
#include <cstring>
#include <netinet/in.h>

namespace mentalspace {

namespace {

char
Lower(char c)
{
	return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool
Equal(std::string_view a, std::string_view lower)
{
	if (a.size() != lower.size())
		return false;
	for (size_t i = 0; i < a.size(); i++)
		if (Lower(a[i]) != lower[i])
			return false;
	return true;
}

struct Network {
	uint32_t address;
	int bits;
};

/* RFC 6890 and its successors: what is not globally reachable. */
constexpr Network kNotPublic[] = {
	{0x00000000, 8}, {0x0a000000, 8}, {0x64400000, 10}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xac100000, 12},
	{0xc0000000, 24}, {0xc0000200, 24}, {0xc0586300, 24}, {0xc0a80000, 16}, {0xc6120000, 15}, {0xc6336400, 24},
	{0xcb007100, 24}, {0xe0000000, 4}, {0xf0000000, 4},
};

bool
Ipv4IsPublic(uint32_t address)
{
	for (const Network &network : kNotPublic)
		if ((address ^ network.address) >> (32 - network.bits) == 0)
			return false;
	return true;
}

uint32_t
Word(const uint8_t *bytes)
{
	return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

bool
Ipv6IsPublic(const uint8_t *a)
{
	static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	static constexpr uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};

	if (std::memcmp(a, mapped, sizeof(mapped)) == 0 || std::memcmp(a, nat64, sizeof(nat64)) == 0)
		return Ipv4IsPublic(Word(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02)
		return Ipv4IsPublic(Word(a + 2));
	/* Global unicast is 2000::/3; within it Teredo and the rest of 2001::/23, and documentation, are not for us. */
	if ((a[0] & 0xe0) != 0x20)
		return false;
	if (a[0] == 0x20 && a[1] == 0x01 && ((a[2] & 0xfe) == 0 || (a[2] == 0x0d && a[3] == 0xb8)))
		return false;
	return true;
}

}  // namespace

bool
HostIsNamed(const HostPatterns &patterns, std::string_view host)
{
	if (host.ends_with('.'))
		host.remove_suffix(1);
	for (const std::string &pattern : patterns) {
		if (pattern == "*" || Equal(host, pattern))
			return true;
		if (pattern.starts_with("*.") && host.size() > pattern.size() - 1 &&
			Equal(host.substr(host.size() - (pattern.size() - 1)), std::string_view(pattern).substr(1)))
			return true;
	}
	return false;
}

bool
AddressIsPublic(const sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		sockaddr_in in;
		std::memcpy(&in, address, sizeof(in));
		return Ipv4IsPublic(ntohl(in.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		sockaddr_in6 in6;
		std::memcpy(&in6, address, sizeof(in6));
		return Ipv6IsPublic(in6.sin6_addr.s6_addr);
	}
	return false;
}

}  // namespace mentalspace
