/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harvest.h - what one provider said in one pass: the objects the join needs
 *
 * A provider is read class by class (whole-class enumeration, association classes too), never
 * by walking.  Of each answer only the properties named in the tables below are kept.  Objects
 * and references carry their keys in one canonical text, so that the two meet by hash:
 * key names in lower case and in order, values as text.  That forgives wrong VALUETYPEs,
 * references that name a superclass, leave out the namespace or spell it differently - all
 * seen in real arrays.  What a link says besides (the state of a copy) is kept with it.
 *
 * Everything lives in one arena with a limit; a provider that says too much is cut off.
 *
 * Depends on: base cim.  Threads: one owner.
 */
#pragma once

#include "cim/request.h"

/* kind, class to enumerate, class to try when that gives an error or nothing, discovery level,
 * where: interop or implementation namespaces, first and last of its properties below.  The
 * order is the order of reading. */
#define SRC_KINDS(K)                                                                           \
	K(PROFILE, "CIM_RegisteredProfile", NULL, 0, INTEROP, \
	  RegisteredOrganization, RegisteredVersion) \
	K(MANAGER, "CIM_ObjectManager", NULL, 0, INTEROP, SystemName, Description) \
	K(COMM, "CIM_ObjectManagerCommunicationMechanism", NULL, 0, INTEROP, \
	  CommunicationMechanism, AuthenticationMechanismsSupported) \
	K(NS, "CIM_Namespace", NULL, 0, INTEROP, Name, Name) \
	K(CONFORMS, "CIM_ElementConformsToProfile", NULL, 0, INTEROP, \
	  ConformantStandard, ManagedElement) \
	K(ISW, "CIM_SoftwareIdentity", NULL, 0, INTEROP, VersionString, Manufacturer) \
	K(ESW, "CIM_ElementSoftwareIdentity", NULL, 0, INTEROP, Antecedent, Dependent) \
	K(SYSTEM, "CIM_ComputerSystem", NULL, 0, IMPL, Name, IdentifyingDescriptions) \
	K(PACKAGE, "CIM_PhysicalPackage", NULL, 0, IMPL, Manufacturer, Tag) \
	K(SYSPKG, "CIM_SystemPackaging", NULL, 0, IMPL, Antecedent, Dependent) \
	K(SW, "CIM_SoftwareIdentity", NULL, 0, IMPL, VersionString, VersionString) \
	K(INSTSW, "CIM_InstalledSoftwareIdentity", NULL, 0, IMPL, System, InstalledSoftware) \
	K(CAPMASK, "CIM_ProtocolControllerMaskingCapabilities", NULL, 0, IMPL, \
	  ValidHardwareIdTypes, MaximumMapCount) \
	K(CAPCONF, "CIM_StorageConfigurationCapabilities", NULL, 0, IMPL, \
	  SupportedSynchronousActions, SupportedStorageElementTypes) \
	K(CAPREPL, "CIM_ReplicationServiceCapabilities", NULL, 0, IMPL, \
	  SupportedReplicationTypes, SupportedReplicationTypes) \
	K(CAPCOPY, "CIM_StorageReplicationCapabilities", NULL, 0, IMPL, \
	  SupportedSynchronizationType, MaximumReplicasPerSource) \
	K(CAPISCSI, "CIM_iSCSIConfigurationCapabilities", NULL, 0, IMPL, \
	  iSCSIProtocolEndpointCreationSupported, iSCSIProtocolEndpointCreationSupported) \
	K(CLIENT, "CIM_StorageClientSettingData", NULL, 0, IMPL, \
	  ClientTypes, OtherClientTypeDescriptions) \
	K(ELEMCAP, "CIM_ElementCapabilities", NULL, 0, IMPL, ManagedElement, Capabilities) \
	K(EP, "CIM_SCSIProtocolEndpoint", "CIM_iSCSIProtocolEndpoint", 1, IMPL, \
	  SystemName, OperationalStatus) \
	K(TCP, "CIM_TCPProtocolEndpoint", NULL, 1, IMPL, SystemName, OperationalStatus) \
	K(IP, "CIM_IPProtocolEndpoint", NULL, 1, IMPL, Name, OperationalStatus) \
	K(PORT, "CIM_NetworkPort", "CIM_EthernetPort", 1, IMPL, SystemName, UsageRestriction) \
	K(PEP, "CIM_ProtocolEndpoint", NULL, 1, IMPL, SystemName, ProtocolIFType) \
	K(ACTIVE, "CIM_ActiveConnection", NULL, 1, IMPL, Antecedent, Dependent) \
	K(BINDS, "CIM_BindsTo", NULL, 1, IMPL, Antecedent, Dependent) \
	K(SAPIMPL, "CIM_DeviceSAPImplementation", NULL, 1, IMPL, Antecedent, Dependent) \
	K(POOL, "CIM_StoragePool", NULL, 1, IMPL, InstanceID, StatusDescriptions) \
	K(HOSTEDPOOL, "CIM_HostedStoragePool", NULL, 1, IMPL, GroupComponent, PartComponent) \
	K(POOLCAP, "CIM_StorageCapabilities", NULL, 1, IMPL, \
	  ElementName, SupportedStorageElementTypes) \
	K(SETTING, "CIM_StorageSetting", NULL, 1, IMPL, InstanceID, ThinProvisionedPoolType) \
	K(CAPSETTING, "CIM_StorageSettingsAssociatedToCapabilities", NULL, 1, IMPL, \
	  Antecedent, Dependent) \
	K(ELEMSET, "CIM_ElementSettingData", NULL, 1, IMPL, ManagedElement, SettingData) \
	K(ALLOC, "CIM_AllocatedFromStoragePool", NULL, 1, IMPL, Antecedent, Dependent) \
	K(HWID, "CIM_StorageHardwareID", NULL, 1, IMPL, InstanceID, IDType) \
	K(VOLUME, "CIM_StorageVolume", NULL, 2, IMPL, SystemName, Usage) \
	K(CTRL, "CIM_SCSIProtocolController", NULL, 2, IMPL, SystemName, ElementName) \
	K(SAPAVAIL, "CIM_SAPAvailableForElement", NULL, 2, IMPL, AvailableSAP, ManagedElement) \
	K(UNIT, "CIM_ProtocolControllerForUnit", NULL, 2, IMPL, Antecedent, Dependent) \
	K(COPY, "CIM_StorageSynchronized", NULL, 2, IMPL, SystemElement, WhenSynced) \
	K(PRIV, "CIM_AuthorizedPrivilege", NULL, 2, IMPL, InstanceID, InstanceID) \
	K(AUTHTGT, "CIM_AuthorizedTarget", NULL, 2, IMPL, Privilege, TargetElement) \
	K(AUTHSUBJ, "CIM_AuthorizedSubject", NULL, 2, IMPL, Privilege, PrivilegedElement) \
	K(JOB, "CIM_ConcreteJob", NULL, 2, IMPL, InstanceID, TimeSubmitted) \
	K(AFFECTED, "CIM_AffectedJobElement", NULL, 2, IMPL, AffectedElement, AffectingElement) \
	K(DISK, "CIM_DiskDrive", NULL, 3, IMPL, SystemName, CompressionMethod) \
	K(MEDIA, "CIM_MediaPresent", NULL, 3, IMPL, Antecedent, Dependent) \
	K(EXTENT, "CIM_StorageExtent", NULL, 3, IMPL, BlockSize, ConsumableBlocks) \
	K(COMPONENT, "CIM_ConcreteComponent", "CIM_AssociatedComponentExtent", 3, IMPL, \
	  GroupComponent, PartComponent) \
	K(REALIZES, "CIM_Realizes", NULL, 3, IMPL, Antecedent, Dependent) \
	K(DEVSW, "CIM_ElementSoftwareIdentity", NULL, 3, IMPL, Antecedent, Dependent) \
	K(LOCATION, "CIM_Location", NULL, 3, IMPL, PhysicalPosition, PhysicalPosition) \
	K(PLACED, "CIM_PhysicalElementLocation", NULL, 3, IMPL, Element, PhysicalLocation)

#define SRC_ENUM_(id, cls, alt, level, where, first, last) SRC_##id,
enum src_kind { SRC_KINDS(SRC_ENUM_) SRC_N };
#undef SRC_ENUM_

enum src_where { SRC_INTEROP, SRC_IMPL };

/* kind, property, type, is an array.  An association has two references, and these first. */
#define SRC_PROPS(P)                                                                           \
	P(PROFILE, RegisteredOrganization, CIM_UINT16, false)                                  \
	P(PROFILE, RegisteredName, CIM_STRING, false)                                          \
	P(PROFILE, RegisteredVersion, CIM_STRING, false)                                       \
	P(MANAGER, SystemName, CIM_STRING, false)                                              \
	P(MANAGER, Name, CIM_STRING, false)                                                    \
	P(MANAGER, ElementName, CIM_STRING, false)                                             \
	P(MANAGER, Description, CIM_STRING, false)                                             \
	P(COMM, CommunicationMechanism, CIM_UINT16, false)                                     \
	P(COMM, Version, CIM_STRING, false)                                                    \
	P(COMM, MultipleOperationsSupported, CIM_BOOLEAN, false)                               \
	P(COMM, AuthenticationMechanismsSupported, CIM_UINT16, true)                           \
	P(NS, Name, CIM_STRING, false)                                                         \
	P(CONFORMS, ConformantStandard, CIM_REF, false)                                        \
	P(CONFORMS, ManagedElement, CIM_REF, false)                                            \
	P(ISW, VersionString, CIM_STRING, false)                                               \
	P(ISW, Manufacturer, CIM_STRING, false)                                                \
	P(ESW, Antecedent, CIM_REF, false)                                                     \
	P(ESW, Dependent, CIM_REF, false)                                                      \
	P(SYSTEM, Name, CIM_STRING, false)                                                     \
	P(SYSTEM, NameFormat, CIM_STRING, false)                                               \
	P(SYSTEM, ElementName, CIM_STRING, false)                                              \
	P(SYSTEM, OperationalStatus, CIM_UINT16, true)                                         \
	P(SYSTEM, Dedicated, CIM_UINT16, true)                                                 \
	P(SYSTEM, OtherIdentifyingInfo, CIM_STRING, true)                                      \
	P(SYSTEM, IdentifyingDescriptions, CIM_STRING, true)                                   \
	P(PACKAGE, Manufacturer, CIM_STRING, false)                                            \
	P(PACKAGE, Model, CIM_STRING, false)                                                   \
	P(PACKAGE, SerialNumber, CIM_STRING, false)                                            \
	P(PACKAGE, PartNumber, CIM_STRING, false)                                              \
	P(PACKAGE, Tag, CIM_STRING, false)                                                     \
	P(SYSPKG, Antecedent, CIM_REF, false)                                                  \
	P(SYSPKG, Dependent, CIM_REF, false)                                                   \
	P(SW, VersionString, CIM_STRING, false)                                                \
	P(INSTSW, System, CIM_REF, false)                                                      \
	P(INSTSW, InstalledSoftware, CIM_REF, false)                                           \
	P(CAPMASK, ValidHardwareIdTypes, CIM_UINT16, true)                                     \
	P(CAPMASK, OtherValidHardwareIDTypes, CIM_STRING, true)                                \
	P(CAPMASK, PortsPerView, CIM_UINT16, false)                                            \
	P(CAPMASK, ClientSelectableDeviceNumbers, CIM_BOOLEAN, false)                          \
	P(CAPMASK, OneHardwareIDPerView, CIM_BOOLEAN, false)                                   \
	P(CAPMASK, ExposePathsSupported, CIM_BOOLEAN, false)                                   \
	P(CAPMASK, MaximumMapCount, CIM_UINT16, false)                                         \
	P(CAPCONF, SupportedSynchronousActions, CIM_UINT16, true)                              \
	P(CAPCONF, SupportedAsynchronousActions, CIM_UINT16, true)                             \
	P(CAPCONF, SupportedStorageElementFeatures, CIM_UINT16, true)                          \
	P(CAPCONF, SupportedStoragePoolFeatures, CIM_UINT16, true)                             \
	P(CAPCONF, SupportedStorageElementTypes, CIM_UINT16, true)                             \
	P(CAPREPL, SupportedReplicationTypes, CIM_UINT16, true)                                \
	P(CAPCOPY, SupportedSynchronizationType, CIM_UINT16, false)                            \
	P(CAPCOPY, SupportedSynchronousActions, CIM_UINT16, true)                              \
	P(CAPCOPY, SupportedAsynchronousActions, CIM_UINT16, true)                             \
	P(CAPCOPY, MaximumReplicasPerSource, CIM_UINT16, false)                                \
	P(CAPISCSI, iSCSIProtocolEndpointCreationSupported, CIM_BOOLEAN, false)                \
	P(CLIENT, ClientTypes, CIM_UINT16, true)                                               \
	P(CLIENT, OtherClientTypeDescriptions, CIM_STRING, true)                               \
	P(ELEMCAP, ManagedElement, CIM_REF, false)                                             \
	P(ELEMCAP, Capabilities, CIM_REF, false)                                               \
	P(EP, SystemName, CIM_STRING, false)                                                   \
	P(EP, Name, CIM_STRING, false)                                                         \
	P(EP, ElementName, CIM_STRING, false)                                                  \
	P(EP, Role, CIM_UINT16, false)                                                         \
	P(EP, ConnectionType, CIM_UINT16, false)                                               \
	P(EP, OperationalStatus, CIM_UINT16, true)                                             \
	P(TCP, SystemName, CIM_STRING, false)                                                  \
	P(TCP, Name, CIM_STRING, false)                                                        \
	P(TCP, PortNumber, CIM_UINT32, false)                                                  \
	P(TCP, OperationalStatus, CIM_UINT16, true)                                            \
	P(IP, Name, CIM_STRING, false)                                                         \
	P(IP, IPv4Address, CIM_STRING, false)                                                  \
	P(IP, IPv6Address, CIM_STRING, false)                                                  \
	P(IP, SubnetMask, CIM_STRING, false)                                                   \
	P(IP, OperationalStatus, CIM_UINT16, true)                                             \
	P(PORT, SystemName, CIM_STRING, false)                                                 \
	P(PORT, DeviceID, CIM_STRING, false)                                                   \
	P(PORT, PermanentAddress, CIM_STRING, false)                                           \
	P(PORT, NetworkAddresses, CIM_STRING, true)                                            \
	P(PORT, LinkTechnology, CIM_UINT16, false)                                             \
	P(PORT, OtherLinkTechnology, CIM_STRING, false)                                        \
	P(PORT, Speed, CIM_UINT64, false)                                                      \
	P(PORT, MaxSpeed, CIM_UINT64, false)                                                   \
	P(PORT, PortNumber, CIM_UINT16, false)                                                 \
	P(PORT, PortType, CIM_UINT16, false)                                                   \
	P(PORT, UsageRestriction, CIM_UINT16, false)                                           \
	P(PEP, SystemName, CIM_STRING, false)                                                  \
	P(PEP, Name, CIM_STRING, false)                                                        \
	P(PEP, NameFormat, CIM_STRING, false)                                                  \
	P(PEP, ProtocolIFType, CIM_UINT16, false)                                              \
	P(ACTIVE, Antecedent, CIM_REF, false)                                                  \
	P(ACTIVE, Dependent, CIM_REF, false)                                                   \
	P(BINDS, Antecedent, CIM_REF, false)                                                   \
	P(BINDS, Dependent, CIM_REF, false)                                                    \
	P(SAPIMPL, Antecedent, CIM_REF, false)                                                 \
	P(SAPIMPL, Dependent, CIM_REF, false)                                                  \
	P(POOL, InstanceID, CIM_STRING, false)                                                 \
	P(POOL, PoolID, CIM_STRING, false)                                                     \
	P(POOL, Name, CIM_STRING, false)                                                       \
	P(POOL, ElementName, CIM_STRING, false)                                                \
	P(POOL, Primordial, CIM_BOOLEAN, false)                                                \
	P(POOL, TotalManagedSpace, CIM_UINT64, false)                                          \
	P(POOL, RemainingManagedSpace, CIM_UINT64, false)                                      \
	P(POOL, ThinProvisionMetaDataSpace, CIM_UINT64, false)                                 \
	P(POOL, Usage, CIM_UINT16, false)                                                      \
	P(POOL, OtherUsageDescription, CIM_STRING, false)                                      \
	P(POOL, LowSpaceWarningThreshold, CIM_UINT16, false)                                   \
	P(POOL, SpaceLimit, CIM_UINT64, false)                                                 \
	P(POOL, SpaceLimitDetermination, CIM_UINT16, false)                                    \
	P(POOL, OperationalStatus, CIM_UINT16, true)                                           \
	P(POOL, StatusDescriptions, CIM_STRING, true)                                          \
	P(HOSTEDPOOL, GroupComponent, CIM_REF, false)                                          \
	P(HOSTEDPOOL, PartComponent, CIM_REF, false)                                           \
	P(POOLCAP, ElementName, CIM_STRING, false)                                             \
	P(POOLCAP, ElementType, CIM_UINT16, false)                                             \
	P(POOLCAP, NoSinglePointOfFailure, CIM_BOOLEAN, false)                                 \
	P(POOLCAP, NoSinglePointOfFailureDefault, CIM_BOOLEAN, false)                          \
	P(POOLCAP, DataRedundancyMax, CIM_UINT16, false)                                       \
	P(POOLCAP, DataRedundancyMin, CIM_UINT16, false)                                       \
	P(POOLCAP, DataRedundancyDefault, CIM_UINT16, false)                                   \
	P(POOLCAP, PackageRedundancyMax, CIM_UINT16, false)                                    \
	P(POOLCAP, PackageRedundancyMin, CIM_UINT16, false)                                    \
	P(POOLCAP, PackageRedundancyDefault, CIM_UINT16, false)                                \
	P(POOLCAP, ExtentStripeLengthDefault, CIM_UINT16, false)                               \
	P(POOLCAP, ParityLayoutDefault, CIM_UINT16, false)                                     \
	P(POOLCAP, UserDataStripeDepthDefault, CIM_UINT64, false)                              \
	P(POOLCAP, SupportedStorageElementTypes, CIM_UINT16, true)                             \
	P(SETTING, InstanceID, CIM_STRING, false)                                              \
	P(SETTING, ElementName, CIM_STRING, false)                                             \
	P(SETTING, NoSinglePointOfFailure, CIM_BOOLEAN, false)                                 \
	P(SETTING, DataRedundancyMin, CIM_UINT16, false)                                       \
	P(SETTING, DataRedundancyMax, CIM_UINT16, false)                                       \
	P(SETTING, DataRedundancyGoal, CIM_UINT16, false)                                      \
	P(SETTING, PackageRedundancyMin, CIM_UINT16, false)                                    \
	P(SETTING, PackageRedundancyMax, CIM_UINT16, false)                                    \
	P(SETTING, PackageRedundancyGoal, CIM_UINT16, false)                                   \
	P(SETTING, ChangeableType, CIM_UINT16, false)                                          \
	P(SETTING, ExtentStripeLength, CIM_UINT16, false)                                      \
	P(SETTING, ExtentStripeLengthMin, CIM_UINT16, false)                                   \
	P(SETTING, ExtentStripeLengthMax, CIM_UINT16, false)                                   \
	P(SETTING, ParityLayout, CIM_UINT16, false)                                            \
	P(SETTING, UserDataStripeDepth, CIM_UINT64, false)                                     \
	P(SETTING, UserDataStripeDepthMin, CIM_UINT64, false)                                  \
	P(SETTING, UserDataStripeDepthMax, CIM_UINT64, false)                                  \
	P(SETTING, ThinProvisionedPoolType, CIM_UINT16, false)                                 \
	P(CAPSETTING, Antecedent, CIM_REF, false)                                              \
	P(CAPSETTING, Dependent, CIM_REF, false)                                               \
	P(ELEMSET, ManagedElement, CIM_REF, false)                                             \
	P(ELEMSET, SettingData, CIM_REF, false)                                                \
	P(ALLOC, Antecedent, CIM_REF, false)                                                   \
	P(ALLOC, Dependent, CIM_REF, false)                                                    \
	P(HWID, InstanceID, CIM_STRING, false)                                                 \
	P(HWID, StorageID, CIM_STRING, false)                                                  \
	P(HWID, IDType, CIM_UINT16, false)                                                     \
	P(VOLUME, SystemName, CIM_STRING, false)                                               \
	P(VOLUME, DeviceID, CIM_STRING, false)                                                 \
	P(VOLUME, ElementName, CIM_STRING, false)                                              \
	P(VOLUME, Name, CIM_STRING, false)                                                     \
	P(VOLUME, NameFormat, CIM_UINT16, false)                                               \
	P(VOLUME, NameNamespace, CIM_UINT16, false)                                            \
	P(VOLUME, OtherNameFormat, CIM_STRING, false)                                          \
	P(VOLUME, OtherNameNamespace, CIM_STRING, false)                                       \
	P(VOLUME, OperationalStatus, CIM_UINT16, true)                                         \
	P(VOLUME, StatusDescriptions, CIM_STRING, true)                                        \
	P(VOLUME, BlockSize, CIM_UINT64, false)                                                \
	P(VOLUME, NumberOfBlocks, CIM_UINT64, false)                                           \
	P(VOLUME, ConsumableBlocks, CIM_UINT64, false)                                         \
	P(VOLUME, Primordial, CIM_BOOLEAN, false)                                              \
	P(VOLUME, OtherIdentifyingInfo, CIM_STRING, true)                                      \
	P(VOLUME, IdentifyingDescriptions, CIM_STRING, true)                                   \
	P(VOLUME, NoSinglePointOfFailure, CIM_BOOLEAN, false)                                  \
	P(VOLUME, DataRedundancy, CIM_UINT16, false)                                           \
	P(VOLUME, PackageRedundancy, CIM_UINT16, false)                                        \
	P(VOLUME, ExtentStripeLength, CIM_UINT64, false)                                       \
	P(VOLUME, Access, CIM_UINT16, false)                                                   \
	P(VOLUME, ThinlyProvisioned, CIM_BOOLEAN, false)                                       \
	P(VOLUME, Usage, CIM_UINT16, false)                                                    \
	P(CTRL, SystemName, CIM_STRING, false)                                                 \
	P(CTRL, DeviceID, CIM_STRING, false)                                                   \
	P(CTRL, Name, CIM_STRING, false)                                                       \
	P(CTRL, NameFormat, CIM_UINT16, false)                                                 \
	P(CTRL, ElementName, CIM_STRING, false)                                                \
	P(SAPAVAIL, AvailableSAP, CIM_REF, false)                                              \
	P(SAPAVAIL, ManagedElement, CIM_REF, false)                                            \
	P(UNIT, Antecedent, CIM_REF, false)                                                    \
	P(UNIT, Dependent, CIM_REF, false)                                                     \
	P(COPY, SystemElement, CIM_REF, false)                                          \
	P(COPY, SyncedElement, CIM_REF, false)                                          \
	P(COPY, CopyMethodology, CIM_UINT16, false)                                     \
	P(COPY, CopyPriority, CIM_UINT16, false)                                        \
	P(COPY, CopyState, CIM_UINT16, false)                                           \
	P(COPY, CopyType, CIM_UINT16, false)                                            \
	P(COPY, Mode, CIM_UINT16, false)                                                \
	P(COPY, PercentSynced, CIM_UINT16, false)                                       \
	P(COPY, ProgressStatus, CIM_UINT16, false)                                      \
	P(COPY, ReplicaType, CIM_UINT16, false)                                         \
	P(COPY, RequestedCopyState, CIM_UINT16, false)                                  \
	P(COPY, SyncState, CIM_UINT16, false)                                           \
	P(COPY, SyncType, CIM_UINT16, false)                                            \
	P(COPY, SyncMaintained, CIM_BOOLEAN, false)                                     \
	P(COPY, WhenActivated, CIM_DATETIME, false)                                     \
	P(COPY, WhenDeactivated, CIM_DATETIME, false)                                   \
	P(COPY, WhenEstablished, CIM_DATETIME, false)                                   \
	P(COPY, WhenSuspended, CIM_DATETIME, false)                                     \
	P(COPY, WhenSynchronized, CIM_DATETIME, false)                                  \
	P(COPY, WhenSynced, CIM_DATETIME, false)                                        \
	P(PRIV, InstanceID, CIM_STRING, false)                                                 \
	P(AUTHTGT, Privilege, CIM_REF, false)                                                  \
	P(AUTHTGT, TargetElement, CIM_REF, false)                                              \
	P(AUTHSUBJ, Privilege, CIM_REF, false)                                                 \
	P(AUTHSUBJ, PrivilegedElement, CIM_REF, false)                                         \
	P(JOB, InstanceID, CIM_STRING, false)                                                  \
	P(JOB, Description, CIM_STRING, false)                                                 \
	P(JOB, ElapsedTime, CIM_DATETIME, false)                                               \
	P(JOB, ErrorCode, CIM_UINT16, false)                                                   \
	P(JOB, ErrorDescription, CIM_STRING, false)                                            \
	P(JOB, JobState, CIM_UINT16, false)                                                    \
	P(JOB, JobStatus, CIM_STRING, false)                                                   \
	P(JOB, LocalOrUtcTime, CIM_UINT16, false)                                              \
	P(JOB, OperationalStatus, CIM_UINT16, true)                                            \
	P(JOB, PercentComplete, CIM_UINT16, false)                                             \
	P(JOB, StartTime, CIM_DATETIME, false)                                                 \
	P(JOB, StatusDescriptions, CIM_STRING, true)                                           \
	P(JOB, TimeBeforeRemoval, CIM_DATETIME, false)                                         \
	P(JOB, TimeOfLastStateChange, CIM_DATETIME, false)                                     \
	P(JOB, TimeSubmitted, CIM_DATETIME, false)                                             \
	P(AFFECTED, AffectedElement, CIM_REF, false)                                           \
	P(AFFECTED, AffectingElement, CIM_REF, false)                                   \
	P(DISK, SystemName, CIM_STRING, false)                                          \
	P(DISK, DeviceID, CIM_STRING, false)                                            \
	P(DISK, Name, CIM_STRING, false)                                                \
	P(DISK, ElementName, CIM_STRING, false)                                         \
	P(DISK, Description, CIM_STRING, false)                                         \
	P(DISK, OperationalStatus, CIM_UINT16, true)                                    \
	P(DISK, StatusDescriptions, CIM_STRING, true)                                   \
	P(DISK, RPM, CIM_UINT32, false)                                                 \
	P(DISK, DiskType, CIM_UINT16, false)                                            \
	P(DISK, Encryption, CIM_UINT16, false)                                          \
	P(DISK, CompressionMethod, CIM_STRING, false)                                   \
	P(MEDIA, Antecedent, CIM_REF, false)                                            \
	P(MEDIA, Dependent, CIM_REF, false)                                             \
	P(EXTENT, BlockSize, CIM_UINT64, false)                                         \
	P(EXTENT, NumberOfBlocks, CIM_UINT64, false)                                    \
	P(EXTENT, ConsumableBlocks, CIM_UINT64, false)                                  \
	P(COMPONENT, GroupComponent, CIM_REF, false)                                    \
	P(COMPONENT, PartComponent, CIM_REF, false)                                     \
	P(REALIZES, Antecedent, CIM_REF, false)                                         \
	P(REALIZES, Dependent, CIM_REF, false)                                          \
	P(DEVSW, Antecedent, CIM_REF, false)                                            \
	P(DEVSW, Dependent, CIM_REF, false)                                             \
	P(LOCATION, PhysicalPosition, CIM_STRING, false)                                \
	P(PLACED, Element, CIM_REF, false)                                              \
	P(PLACED, PhysicalLocation, CIM_REF, false)

/* SRCP_IP_IPv4Address: a number for every (kind, property), ascending by kind. */
#define SRC_PROP_ENUM_(k, name, type, array) SRCP_##k##_##name,
enum src_prop { SRC_PROPS(SRC_PROP_ENUM_) SRCP_N };
#undef SRC_PROP_ENUM_

struct src_kind_info {
	const char *cls, *alt;
	uint8_t level;
	enum src_where where;
	uint16_t first, n;        /* its properties within enum src_prop */
	const char *const *names; /* n of them: a PropertyList */
};
const struct src_kind_info *src_kind_info(enum src_kind k);
bool src_is_assoc(enum src_kind k);

struct src_ref {
	const char *cls, *ns; /* ns: NULL when the reference has none */
	const char *key;      /* canonical; NULL: no reference */
	uint32_t key_len;
	uint64_t hash;
};

struct src_obj {
	struct src_obj *next; /* of its kind, in the order it came */
	struct src_obj *chain;
	struct src_ref id;
	enum src_kind kind;
	uint32_t num; /* position within its kind */
	uint32_t out; /* the join's: index of what was made of it, plus 1 */
	union {
		struct cim_value *v; /* by property number - first; NULL values keep no type */
		struct src_ref *ref; /* associations: two; SRC_LINK has the rest */
	};
};

struct harvest;

/* bytes, objects: more than that and harvest_add refuses. */
struct harvest *harvest_new(size_t bytes, uint32_t objects) MUST_CHECK;
void harvest_free(struct harvest *h);
DEFINE_AUTO(harvest, harvest_free)

/*
 * Keep one object of an answer.  ns: the namespace that was asked.  path may be NULL when the
 * answer had none (then keys are looked for among the properties: not possible without the
 * class, so such an object cannot be referred to).  Copies what it keeps.  A second object of
 * the same kind with the same keys is dropped and noted.
 * -E2BIG with a sentence when the provider has said too much.
 */
int harvest_add(struct harvest *h, enum src_kind k, const char *ns, const struct cim_path *path,
		const struct cim_raw_instance *inst, struct err *e) MUST_CHECK;

/* Something wrong with the answers that doesn't stop the join: counted, the first few kept. */
void harvest_note(struct harvest *h, const char *fmt, ...) PRINTF(2, 3);
uint32_t harvest_notes(const struct harvest *h, const char **ret_text);

struct src_obj *harvest_first(const struct harvest *h, enum src_kind k);
uint32_t harvest_count(const struct harvest *h, enum src_kind k);
/* The object of that kind a reference means, or NULL. */
struct src_obj *harvest_find(const struct harvest *h, enum src_kind k, const struct src_ref *r);

static inline const struct cim_value *src_get_(const struct src_obj *o, enum src_prop p,
					       uint16_t first)
{
	return &o->v[p - first];
}
/* The value of a property of o, e.g. SRC(o, IP, IPv4Address). */
#define SRC(o, kind, prop) \
	src_get_((o), SRCP_##kind##_##prop, src_kind_info(SRC_##kind)->first)

/* Likewise of an association: the values stand behind its two references. */
static inline const struct cim_value *src_link_(const struct src_obj *o, enum src_prop p,
						uint16_t first)
{
	return (const struct cim_value *)(o->ref + 2) + (p - first - 2);
}
#define SRC_LINK(o, kind, prop) \
	src_link_((o), SRCP_##kind##_##prop, src_kind_info(SRC_##kind)->first)

struct arena *harvest_arena(struct harvest *h);
