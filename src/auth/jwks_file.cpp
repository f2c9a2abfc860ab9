/* A JWKS on the server's disk. */
#include "pg/prelude.h"

#include "auth/jwks_file.h"

extern "C" {
#include "storage/fd.h"
#include <sys/stat.h>
#include <unistd.h>
}

namespace {

constexpr off_t kMaxFileBytes = 1024 * 1024;

const char *
refuse(const char *reason)
{
	ereport(WARNING,
			(errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("file of mentalspace.auth_jwks_file is not used"),
			 errdetail("%s", reason)));
	return nullptr;
}

}  // namespace

const char *
ms_read_jwks_file(const char *path)
{
	struct stat status;

	if (!is_absolute_path(path))
		return refuse("The path is not absolute.");
	/* Opened first and looked at then, so that it is the same file. */
	FILE *file = AllocateFile(path, PG_BINARY_R);
	if (file == nullptr)
		return refuse("The file cannot be opened.");

	const char *problem = nullptr;
	char *text = nullptr;
	if (fstat(fileno(file), &status) != 0 || !S_ISREG(status.st_mode))
		problem = "It is not a regular file.";
	else if (status.st_uid != geteuid() && status.st_uid != 0)
		problem = "It belongs neither to the server's user nor to root.";
	else if (status.st_mode & (S_IWGRP | S_IWOTH))
		problem = "Its group or others may write to it.";
	else if (status.st_size > kMaxFileBytes)
		problem = "It is larger than 1 MB.";
	else {
		text = (char *) palloc(status.st_size + 1);
		size_t length = fread(text, 1, status.st_size, file);
		text[length] = '\0';
		if (length != (size_t) status.st_size || strlen(text) != length)
			problem = "It cannot be read as text.";
		/* A secret that others may read is none. */
		else if ((status.st_mode & (S_IRGRP | S_IROTH)) && strstr(text, "\"oct\""))
			problem = "It holds a shared secret, and its group or others may read it.";
	}
	FreeFile(file);
	return problem ? refuse(problem) : text;
}
