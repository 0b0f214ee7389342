/**
 * The catalogue of issue codes. IST… codes and their titles are Istio's own, used where Istio has one for the
 * finding, so that what is known about them elsewhere applies; TUL… codes are ours. docs/reference/issues.md has
 * a row for each; a tidy test compares both. A code is never given a second meaning.
 */

export interface IssueCode {
  readonly title: string
  readonly meaning: string
}

const istio = {
  IST0002: code(
    'Deprecated',
    'a field that still works, or is still read, and should no longer be used',
  ),
  IST0101: code(
    'ReferencedResourceNotFound',
    'a host, subset or gateway that is named does not exist',
  ),
  IST0106: code(
    'SchemaValidationError',
    'a value that the kind does not allow: type, format, range or combination',
  ),
  IST0107: code('MisplacedAnnotation', 'an annotation of Istio on a kind that it is not for'),
  IST0108: code('UnknownAnnotation', 'an annotation of Istio that does not exist'),
  IST0109: code(
    'ConflictingMeshGatewayVirtualServiceHosts',
    'two VirtualServices of the mesh claim one host; the oldest is used',
  ),
  IST0110: code('ConflictingSidecarWorkloadSelectors', 'two Sidecars select the same workload'),
  IST0111: code(
    'MultipleSidecarsWithoutWorkloadSelectors',
    'two Sidecars of a namespace have no selector',
  ),
  IST0112: code(
    'VirtualServiceDestinationPortSelectorRequired',
    'a route to a service with several ports names none',
  ),
  IST0116: code(
    'DeploymentAssociatedToMultipleServices',
    'services of the same workloads give one port different protocols',
  ),
  IST0118: code(
    'PortNameIsNotUnderNamingConvention',
    "the port's name says no protocol; it is detected",
  ),
  IST0127: code(
    'NoMatchingWorkloadsFound',
    'a selector, or a policy for a namespace, selects no workload',
  ),
  IST0128: code(
    'NoServerCertificateVerificationDestinationLevel',
    'TLS to a destination without CA certificates',
  ),
  IST0129: code(
    'NoServerCertificateVerificationPortLevel',
    'TLS to a port of a destination without CA certificates',
  ),
  IST0130: code(
    'VirtualServiceUnreachableRule',
    'a route that can never be used, because earlier ones take its requests',
  ),
  IST0131: code('VirtualServiceIneffectiveMatch', 'a match that an earlier route already has'),
  IST0132: code(
    'VirtualServiceHostNotFoundInGateway',
    'a VirtualService has no host that its gateway has',
  ),
  IST0133: code('SchemaWarning', 'accepted, and most likely not what was meant'),
  IST0134: code('ServiceEntryAddressesRequired', 'a TCP port of a ServiceEntry without addresses'),
  IST0135: code('DeprecatedAnnotation', 'an annotation of Istio that should no longer be used'),
  IST0137: code(
    'DeploymentConflictingPorts',
    'services of the same workloads lead to one target port from different ports',
  ),
  IST0145: code('ConflictingGateways', 'two Gateways of one selector and port claim one host'),
  IST0159: code(
    'ConflictingTelemetryWorkloadSelectors',
    'two Telemetries select the same workload',
  ),
  IST0160: code(
    'MultipleTelemetriesWithoutWorkloadSelectors',
    'two Telemetries of a namespace have no selector',
  ),
  IST0167: code('IneffectivePolicy', 'a policy that has no effect'),
  IST0173: code('DestinationRuleSubsetNotSelectPods', 'a subset selects no workload'),
  IST0174: code('UnknownDestinationRuleHost', 'a DestinationRule for a host that no service has'),
  IST0177: code(
    'ConflictingServiceEntryProtocol',
    'ServiceEntries give one port of one host different protocols',
  ),
}

const own = {
  TUL0001: code('SyntaxError', 'the text is not YAML or JSON'),
  TUL0002: code('DuplicateKey', 'a field is written twice in one object'),
  TUL0003: code(
    'UnsupportedYaml',
    'YAML that has no JSON form: custom tags, keys that are not plain, endless aliases',
  ),
  TUL0004: code('TooLarge', 'a document, or the whole text, is over its ceiling'),
  TUL0005: code('NotAResource', 'a document without apiVersion or kind, or that is no object'),
  TUL0006: code(
    'InvalidMetadata',
    'metadata that Kubernetes would refuse: name, namespace, labels, annotations',
  ),
  TUL0007: code('UnknownKind', 'a kind or version that does not exist'),
  TUL0008: code(
    'SkippedKind',
    'a resource that only a Kubernetes cluster can use; of pods and namespaces the analysis reads names and labels',
  ),
  TUL0009: code('KindNotImplemented', 'a kind that is known and has no effect in this version'),
  TUL0010: code('UnknownField', 'a field that the kind does not have'),
  TUL0011: code(
    'FieldNotImplemented',
    'a field that is understood and has no effect in this version',
  ),
  TUL0202: code(
    'DuplicateResource',
    'one resource is declared twice; the message says which is in force',
  ),
  TUL0013: code(
    'InferredSubset',
    'a subset that no DestinationRule names was inferred from the label `version`',
  ),
  TUL0014: code(
    'TlsModeConflict',
    'a DestinationRule makes clients speak what the workloads do not take, by their PeerAuthentication',
  ),
  TUL0015: code(
    'DelegateConflict',
    'a route of a delegate that matches what is not delegated to it; it is left out',
  ),
  TUL0016: code(
    'OverlappingDestinationRules',
    'two DestinationRules of one host select the same workload; one of them applies',
  ),
  TUL0017: code(
    'InvalidHealthCheck',
    'annotations of a DestinationRule that ask for health checks and cannot be read',
  ),
  TUL0201: code('FileUnreadable', 'a configuration file or folder could not be read'),
  TUL0203: code('SymbolicLink', 'a symbolic link in a watched folder; links are not followed'),
  TUL0204: code('FileTooLarge', 'a configuration file is over its ceiling'),
  TUL0205: code('TooManyFiles', 'a watched folder holds more files than its ceiling'),
  TUL0206: code('ParserFailed', 'our own parser failed on a file: a bug of ours'),
  TUL0301: code(
    'ServiceDeclaredTwice',
    'two resources declare one service in ways that do not join; the message says which is used',
  ),
  TUL0302: code('PortServedByNobody', 'a service has workloads, and none of them serves this port'),
  TUL0303: code('InvalidNode', 'what a joining workload says of itself cannot be used'),
  TUL0304: code('UnknownWorkloadGroup', 'a workload wants to join by a group that does not exist'),
  TUL0305: code('TooManyWorkloads', 'more workloads want to join than the ceiling allows'),
}

export const issueCodes: Readonly<Record<string, IssueCode>> & typeof istio & typeof own = {
  ...istio,
  ...own,
}

export type KnownIssueCode = keyof typeof istio | keyof typeof own

function code(title: string, meaning: string): IssueCode {
  return { title, meaning }
}
