/* Where mentalspace-outbox may send requests to. */
#pragma once

#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

namespace mentalspace {

/* Names of hosts in lower case, or `*.example.org` for all hosts below a domain, or `*` for all. */
using HostPatterns = std::vector<std::string>;

/* Whether one of the patterns names the host.  A dot at the end of the host and the case of its letters do not
 * matter. */
bool HostIsNamed(const HostPatterns &patterns, std::string_view host);

/* Whether an address is one of the public Internet: not of this machine, of a private or link-local network,
 * multicast or reserved (RFC 6890), nor an IPv6 form of such an IPv4 address.  False for other families. */
bool AddressIsPublic(const sockaddr *address);

}  // namespace mentalspace
