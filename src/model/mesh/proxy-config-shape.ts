/** ProxyConfig, field by field: of the mesh file, and of the annotation `proxy.istio.io/config`. */
import { readinessProbe } from '../istio/workload-group-shape.ts'
import { durationText, port } from '../schema/field-shape.ts'
import { nonEmpty } from '../schema/format.ts'
import { regex } from '../schema/http-format.ts'
import { atMostOne } from '../schema/rule.ts'
import {
  bool,
  clip,
  int,
  list,
  looseText,
  mapOf,
  object,
  objectAlsoKnowing,
  oneOf,
  refine,
  text,
} from '../schema/shape.ts'
import type { Check, Problem, Reading, Shape } from '../schema/shape.ts'
import { keyPath } from '../schema/source-node.ts'
import { notYetInProxy, withoutMeaningInProxy } from './mesh-config-effect.ts'
import type { ProxyConfig, ProxyHeaders, StatsMatcher, Switch } from './proxy-config.ts'

export const unreadProxyConfigFields: readonly string[] = [
  ...Object.keys(notYetInProxy),
  ...Object.keys(withoutMeaningInProxy).filter((name) => !/[.=[]/.test(name)),
]

/** More threads than any machine of today has cores are a slip. */
const concurrencyMax = 1_024

const agentSwitches: Readonly<Record<string, Shape<string>>> = {
  EXIT_ON_ZERO_ACTIVE_CONNECTIONS: oneOf('true', 'false'),
  MINIMUM_DRAIN_DURATION: durationText({ isZeroAllowed: true }),
  ISTIO_META_IDLE_TIMEOUT: durationText({ isZeroAllowed: true }),
  ISTIO_META_HTTP10: oneOf('', '0', '1'),
  ISTIO_META_CLUSTER_ID: text(),
  ISTIO_META_NETWORK: text(),
}

/** What the agent itself says in its node's metadata: a text in its place would break what is made of it. */
const ownMetadata: ReadonlySet<string> = new Set([
  'MESH_PORTS',
  'UPSTREAMS',
  'HTTP_PROXY_PORT',
  'BIND_ADDRESS',
  'ADMIN_ADDRESS',
  'LABELS',
  'NAMESPACE',
  'NAME',
  'WORKLOAD_NAME',
  'SERVICE_ACCOUNT',
  'PROXY_CONFIG',
])

const environmentName: Check<string> = (name) =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
    ? undefined
    : {
        message: `must be the name of an environment variable, got "${clip(name)}"`,
        remedy: 'Use letters, digits and "_", not beginning with a digit.',
      }

export function concurrency(): Shape<number> {
  return int({ min: 0, max: concurrencyMax })
}

/** Also a ProxyConfig's `environmentVariables`. */
export function proxyMetadata(): Shape<Readonly<Record<string, string>>> {
  const shape = mapOf(looseText(), environmentName)
  return {
    ...shape,
    read(node, path, reading) {
      const value = shape.read(node, path, reading)
      if (node.type !== 'map') return value
      for (const [name, field] of node.fields) {
        const at = keyPath(path, name)
        const agentSwitch = agentSwitches[name]
        if (agentSwitch === undefined) reading.report(at, unreadVariable(name))
        else agentSwitch.read(field.node, at, reading)
      }
      return value
    },
  }
}

function unreadVariable(name: string): Problem {
  const prefix = 'ISTIO_META_'
  if (ownMetadata.has(name.slice(prefix.length)) && name.startsWith(prefix)) {
    return {
      message: `${name} is said by the agent itself`,
      remedy: 'Remove it; the mesh file has a field for it.',
    }
  }
  const where = name.startsWith(prefix)
    ? "the metadata of the node, and a real Envoy's environment"
    : 'the environment of a real Envoy'
  return {
    code: 'IST0133',
    severity: 'warning',
    message: `${name} is put into ${where}; nothing of ours reads it`,
    remedy: `Remove it, or write one of ${Object.keys(agentSwitches).join(', ')}.`,
  }
}

const turnOff = (): Shape<Switch> => object<Switch>({ disabled: bool() })
const turnOn = () => object<{ enabled?: boolean }>({ enabled: bool() })

export const proxyHeadersShape: Shape<ProxyHeaders> = object<ProxyHeaders>({
  forwardedClientCert: oneOf(
    'UNDEFINED',
    'SANITIZE',
    'FORWARD_ONLY',
    'APPEND_FORWARD',
    'SANITIZE_SET',
    'ALWAYS_FORWARD_ONLY',
  ),
  setCurrentClientCertDetails: object<NonNullable<ProxyHeaders['setCurrentClientCertDetails']>>({
    subject: bool(),
    cert: bool(),
    chain: bool(),
    dns: bool(),
    uri: bool(),
  }),
  requestId: turnOff(),
  server: object<NonNullable<ProxyHeaders['server']>>(
    { disabled: bool(), value: text(headerText) },
    (value, path, reading) => {
      if (value.disabled !== true || (value.value ?? '') === '') return
      reading.report(`${path}.value`, {
        code: 'IST0133',
        severity: 'warning',
        message: 'value has no effect where disabled is true',
        remedy: 'Keep one of the two.',
      })
    },
  ),
  attemptCount: turnOff(),
  envoyDebugHeaders: turnOff(),
  metadataExchangeHeaders: object<NonNullable<ProxyHeaders['metadataExchangeHeaders']>>({
    mode: oneOf('UNDEFINED', 'IN_MESH'),
  }),
  preserveHttp1HeaderCase: bool(),
  xForwardedHost: turnOn(),
  xForwardedPort: turnOn(),
})

function headerText(value: string): Problem | undefined {
  // RFC 9110 §5.5: visible characters, with spaces between them.
  return /^(?:[\x21-\x7e\x80-\xff](?:[ \t\x21-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/.test(value)
    ? undefined
    : {
        message: `must be the value of a header, got "${clip(value)}"`,
        remedy: 'Use visible characters, with spaces between them only.',
      }
}

const runtimeValues: Shape<Readonly<Record<string, string>>> = refine(
  mapOf(looseText()),
  (values, path, reading: Reading) => {
    for (const name of Object.keys(values)) {
      if (/^[\x21-\x7e]+$/.test(name)) continue
      reading.report(keyPath(path, name), {
        message: `must be a key of Envoy's runtime, got "${clip(name)}"`,
        remedy: 'Write a key such as overload.global_downstream_max_connections.',
      })
    }
  },
)

const tagName: Check<string> = (value) =>
  /^[A-Za-z_][A-Za-z0-9_.]*$/.test(value)
    ? undefined
    : {
        message: `must be the name of a tag, got "${clip(value)}"`,
        remedy: 'Use letters, digits, "_" and ".", not beginning with a digit.',
      }

export const certificate: Check<string> = (value) =>
  value.includes('-----BEGIN CERTIFICATE-----') && value.includes('-----END CERTIFICATE-----')
    ? undefined
    : {
        message: 'must be a certificate in PEM',
        remedy: 'Write the text from BEGIN CERTIFICATE to END CERTIFICATE.',
      }

export const proxyConfigShape: Shape<ProxyConfig> = objectAlsoKnowing<ProxyConfig>(
  unreadProxyConfigFields,
  {
    concurrency: concurrency(),
    drainDuration: durationText(),
    terminationDrainDuration: durationText({ isZeroAllowed: true }),
    proxyMetadata: proxyMetadata(),
    proxyHeaders: proxyHeadersShape,
    proxyStatsMatcher: object<StatsMatcher>({
      inclusionPrefixes: list(text(nonEmpty)),
      inclusionSuffixes: list(text(nonEmpty)),
      inclusionRegexps: list(text(nonEmpty, regex)),
    }),
    extraStatTags: list(text(tagName)),
    holdApplicationUntilProxyStarts: bool(),
    readinessProbe: readinessProbe({ isPortOptional: true }),
    statusPort: port(),
    proxyAdminPort: port(),
    runtimeValues,
    caCertificatesPem: list(text(certificate)),
    serviceCluster: text(nonEmpty),
    tracingServiceName: oneOf(
      'APP_LABEL_AND_NAMESPACE',
      'CANONICAL_NAME_ONLY',
      'CANONICAL_NAME_AND_NAMESPACE',
    ),
  },
  atMostOne<ProxyConfig>('serviceCluster', 'tracingServiceName'),
)
