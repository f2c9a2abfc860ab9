/* Where mentalspace-outbox may send requests to: names of hosts, and addresses. */
#include "outbox/policy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

using namespace mentalspace;

namespace {

bool
Public(const char *text)
{
	sockaddr_in in = {};
	sockaddr_in6 in6 = {};
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		in.sin_family = AF_INET;
		return AddressIsPublic(reinterpret_cast<sockaddr *>(&in));
	}
	EXPECT_EQ(inet_pton(AF_INET6, text, &in6.sin6_addr), 1) << text;
	in6.sin6_family = AF_INET6;
	return AddressIsPublic(reinterpret_cast<sockaddr *>(&in6));
}

TEST(OutboxPolicy, NamesAreExact)
{
	const HostPatterns patterns = {"example.org", "*.example.com", "10.0.0.1"};
	EXPECT_TRUE(HostIsNamed(patterns, "example.org"));
	EXPECT_TRUE(HostIsNamed(patterns, "EXAMPLE.org"));
	EXPECT_TRUE(HostIsNamed(patterns, "example.org."));
	EXPECT_TRUE(HostIsNamed(patterns, "a.example.com"));
	EXPECT_TRUE(HostIsNamed(patterns, "a.b.example.com"));
	EXPECT_TRUE(HostIsNamed(patterns, "10.0.0.1"));
	EXPECT_FALSE(HostIsNamed(patterns, "example.com"));
	EXPECT_FALSE(HostIsNamed(patterns, ".example.com"));
	EXPECT_FALSE(HostIsNamed(patterns, "anexample.com"));
	EXPECT_FALSE(HostIsNamed(patterns, "sub.example.org"));
	EXPECT_FALSE(HostIsNamed(patterns, "example.org.evil.example"));
	EXPECT_FALSE(HostIsNamed(patterns, ""));
	EXPECT_FALSE(HostIsNamed({}, "example.org"));
	EXPECT_TRUE(HostIsNamed({"*"}, "anything.example"));
}

TEST(OutboxPolicy, PrivateAddressesAreNotPublic)
{
	for (const char *address : {"0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9",
			"169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1",
			"198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1",
			"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "fc00::1",
			"fd12:3456::1", "fe80::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "2002:c0a8:101::1"})
		EXPECT_FALSE(Public(address)) << address;
	for (const char *address : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1",
			"172.32.0.1", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
			"2606:4700::1111", "2a00::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"})
		EXPECT_TRUE(Public(address)) << address;
	sockaddr other = {};
	other.sa_family = AF_UNIX;
	EXPECT_FALSE(AddressIsPublic(&other));
}

}  // namespace
