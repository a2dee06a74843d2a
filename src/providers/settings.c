/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.c - what elements are set to: the target before a login is negotiated, volumes
 *
 * smiscsi-target offers the same to every initiator on every portal, so there is one object of each
 * kind.  That they say what the target offers (iscsi/keys.def) is held by a test.
 */
#include "gen/iscsi.h"
#include "gen/iscsi_session.h"
#include "providers/part.h"

#define SESSION(prop)    MSISCSITARGET_iSCSISessionSettings_P_##prop
#define CONNECTION(prop) MSISCSITARGET_iSCSIConnectionSettings_P_##prop

static bool to_session_settings(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
				struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_SESSION_SETTINGS, pos, ret);
}
PV_NEXT(session_next, to_session_settings)

static void session_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			 struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:iscsi-session-settings:1");
}

static void session_fill(const struct prov_ctx *c, const struct prov_obj *o UNUSED,
			 struct cim_instance *i)
{
	i->v[SESSION(ElementName)] = PV_TEXT("what the target offers for a session");
	i->v[SESSION(SystemName)] = pv_str(pv_state(c)->host->uuid);
	i->v[SESSION(MaxConnectionsPerSession)] = cim_u32(8);
	i->v[SESSION(InitialR2TPreference)] = cim_bool(false);
	i->v[SESSION(ImmediateDataPreference)] = cim_bool(true);
	i->v[SESSION(MaxOutstandingR2T)] = cim_u32(8);
	i->v[SESSION(MaxUnsolicitedFirstDataBurstLength)] = cim_u32(262144);
	i->v[SESSION(MaxDataBurstLength)] = cim_u32(1048576);
	i->v[SESSION(DataSequenceInOrderPreference)] = cim_bool(true);
	i->v[SESSION(DataPDUInOrderPreference)] = cim_bool(true);
	i->v[SESSION(DefaultTimeToWaitPreference)] = cim_u32(0);
	i->v[SESSION(DefaultTimeToRetainPreference)] = cim_u32(0);
	i->v[SESSION(ErrorRecoveryLevelPreference)] = cim_u32(0);
}

static bool to_connection_settings(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
				   struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_host_as(c, PV_CONNECTION_SETTINGS, pos, ret);
}
PV_NEXT(connection_next, to_connection_settings)

static void connection_keys(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			    struct cim_value *ret)
{
	ret[0] = PV_TEXT("smiscsi:iscsi-connection-settings:1");
}

static void connection_fill(const struct prov_ctx *c UNUSED, const struct prov_obj *o UNUSED,
			    struct cim_instance *i)
{
	enum { NO_DIGEST = 2, CRC32C = 3 };
	/* This class counts "None" and "No Authentication" apart, unlike the others. */
	enum { NONE = 2, NO_AUTHENTICATION = 3 };

	i->v[CONNECTION(ElementName)] = PV_TEXT("what the target offers for a connection");
	i->v[CONNECTION(MaxReceiveDataSegmentLength)] = cim_u32(262144);
	i->v[CONNECTION(PrimaryHeaderDigestMethod)] = cim_u16(NO_DIGEST);
	i->v[CONNECTION(PrimaryDataDigestMethod)] = cim_u16(NO_DIGEST);
	i->v[CONNECTION(SecondaryHeaderDigestMethod)] = cim_u16(CRC32C);
	i->v[CONNECTION(SecondaryDataDigestMethod)] = cim_u16(CRC32C);
	/* RFC 7143 section 13.25 has done away with markers. */
	i->v[CONNECTION(RequestingMarkersOnReceive)] = cim_bool(false);
	i->v[CONNECTION(PrimaryAuthenticationMethod)] = cim_u16(NO_AUTHENTICATION);
	i->v[CONNECTION(SecondaryAuthenticationMethod)] = cim_u16(NONE);
}

/* ---- whose settings ---- */

static const struct pv_legs settings = {
	PV_ELEMENT_SETTING,
	3,
	{{{PV_VOLUME, PV_SETTING}, pv_setting_of_volume, pv_volume_of_setting, pv_list_volumes, 0},
	 {{PV_SYSTEM, PV_SESSION_SETTINGS},
	  to_session_settings,
	  pv_to_system,
	  pv_to_system,
	  0},
	 {{PV_PORTAL, PV_CONNECTION_SETTINGS},
	  to_connection_settings,
	  pv_list_portals,
	  to_connection_settings,
	  1}},
};
PV_ASSOC(settings)

static void settings_fill(const struct prov_ctx *c UNUSED, const struct prov_link *l UNUSED,
			  struct cim_instance *i)
{
	i->v[MSISCSITARGET_ElementSettingData_P_IsDefault] = cim_u16(1);
	i->v[MSISCSITARGET_ElementSettingData_P_IsCurrent] = cim_u16(1);
}

static const struct pv_class_row classes[] = {
	{PV_SESSION_SETTINGS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSISessionSettings,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = session_next,
	  .keys = session_keys,
	  .fill = session_fill}},
	{PV_CONNECTION_SETTINGS,
	 {.cls = &cim_class_MSISCSITARGET_iSCSIConnectionSettings,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = connection_next,
	  .keys = connection_keys,
	  .fill = connection_fill}},
};
static const struct pv_assoc_row assocs[] = {
	{PV_ELEMENT_SETTING,
	 {.cls = &cim_class_MSISCSITARGET_ElementSettingData,
	  .ns = &smiscsi_ns_iscsitarget,
	  .ref = {MSISCSITARGET_ElementSettingData_P_ManagedElement,
		  MSISCSITARGET_ElementSettingData_P_SettingData},
	  .next = settings_next,
	  .walk = settings_walk,
	  .fill = settings_fill}},
};
const struct pv_part pv_settings = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
	.assocs = assocs,
	.n_assocs = ARRAY_SIZE(assocs),
};
