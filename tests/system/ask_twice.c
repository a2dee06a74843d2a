/* SPDX-License-Identifier: Apache-2.0 */
/* A PAM module that wants a second secret and takes the password for it. */
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int pam_sm_authenticate(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)flags, (void)argc, (void)argv;
	for (int i = 0; i < 2; i++) {
		char *said = NULL;
		int r = pam_prompt(pam, PAM_PROMPT_ECHO_OFF, &said, i ? "Code: " : "Password: ");

		free(said);
		if (r != PAM_SUCCESS)
			return r;
	}
	return PAM_SUCCESS;
}

EXPORT int pam_sm_setcred(pam_handle_t *pam, int flags, int argc, const char **argv)
{
	(void)pam, (void)flags, (void)argc, (void)argv;
	return PAM_SUCCESS;
}
