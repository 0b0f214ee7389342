/** What is accepted of TLS contexts and secrets, and what is refused, each with its field; never with a key. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createTestAuthority } from '../../../test/support/test-certificate.ts'
import {
  certificateJson,
  downstreamJson,
  secretUpstreamJson,
  upstreamJson,
  validationJson,
} from '../../../test/support/transport-socket.ts'
import { MessageJson } from '../../xds/json.ts'
import { TransportSocket } from '../../xds/proto/generated/envoy/config/core/v3/base.ts'
import { Secret } from '../../xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { typeUrls } from '../../xds/resource-set.ts'
import { compileSecret } from './compile-secret.ts'
import { compileDownstreamTls, compileUpstreamTransport } from './compile-tls.ts'
import type { FieldReport } from './field-rule.ts'

const authority = await createTestAuthority('mesh')
const leaf = await authority.issue({ uris: ['spiffe://a/ns/b/sa/c'] })
const other = await authority.issue({ uris: ['spiffe://a/ns/b/sa/d'] })
const json = new MessageJson()

const secrets = {
  hasStatic: (name: string) => name === 'static',
  hasServer: (cluster: string) => cluster === 'sds-grpc',
}

function socketOf(value: object): TransportSocket {
  return json.parse('envoy.config.core.v3.TransportSocket', TransportSocket, value)
}

/** A context with one of its parts changed. */
function changed(base: object, change: (context: ContextJson) => void): TransportSocket {
  const copy = structuredClone(base) as { typed_config: ContextJson }
  change(copy.typed_config)
  return socketOf(copy)
}

type ContextJson = Record<string, unknown> & { common_tls_context: Record<string, unknown> }

const server = downstreamJson({ certificate: leaf, roots: authority.rootPem, requires: true })
const client = upstreamJson({ certificate: leaf, roots: authority.rootPem })

interface Refusal {
  readonly name: string
  readonly change: (context: ContextJson) => void
  readonly reason: RegExp
}

const refusals: readonly Refusal[] = [
  {
    name: 'no certificate',
    change: (context) => delete context.common_tls_context['tls_certificates'],
    reason: /typed_config: No TLS certificates found for server context/,
  },
  {
    name: 'a client certificate that nothing verifies',
    change: (context) => delete context.common_tls_context['validation_context'],
    reason: /require_client_certificate needs a validation context/,
  },
  {
    name: 'TLS 1.1',
    change(context) {
      context.common_tls_context['tls_params'] = { tls_minimum_protocol_version: 'TLSv1_1' }
    },
    reason: /tls_params\.tls_minimum_protocol_version: TLS 1\.0 and 1\.1 are not implemented/,
  },
  {
    name: 'a least version above the greatest',
    change(context) {
      context.common_tls_context['tls_params'] = {
        tls_minimum_protocol_version: 'TLSv1_3',
        tls_maximum_protocol_version: 'TLSv1_2',
      }
    },
    reason: /tls_params: TLSv1\.3 is above TLSv1\.2/,
  },
  {
    name: 'a static secret that is not there',
    change(context) {
      delete context.common_tls_context['tls_certificates']
      context.common_tls_context['tls_certificate_sds_secret_configs'] = [{ name: 'nobody' }]
    },
    reason: /no static secret named "nobody"/,
  },
  {
    name: 'a revocation list that is none',
    change(context) {
      const validation = context.common_tls_context['validation_context'] as object
      context.common_tls_context['validation_context'] = {
        ...validation,
        crl: { inline_string: 'x' },
      }
    },
    reason: /validation_context\.crl: holds no revocation list in PEM form/,
  },
  {
    name: 'a revocation list that cannot be read',
    change(context) {
      const validation = context.common_tls_context['validation_context'] as object
      const crl = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----'
      context.common_tls_context['validation_context'] = {
        ...validation,
        crl: { inline_string: crl },
      }
    },
    reason: /validation_context\.crl: holds a revocation list that cannot be read: /,
  },
  {
    name: 'a revocation list without authorities',
    change(context) {
      context.common_tls_context['validation_context'] = { crl: { inline_string: 'x' } }
    },
    reason: /validation_context\.crl: Failed to load CRL from <inline> without trusted CA/,
  },
  {
    name: 'lists that count for the leaf only',
    change(context) {
      const validation = context.common_tls_context['validation_context'] as object
      context.common_tls_context['validation_context'] = {
        ...validation,
        only_verify_leaf_cert_crl: true,
      }
    },
    reason: /only_verify_leaf_cert_crl: lists are asked about every certificate of a chain/,
  },
  {
    name: 'session ticket keys, untold',
    change(context) {
      context['session_ticket_keys'] = { keys: [{ inline_string: 'very-secret' }] }
    },
    reason: /session_ticket_keys: session ticket keys of one’s own are not implemented$/,
  },
]

for (const { name, change, reason } of refusals) {
  test(`a context for servers is refused for ${name}`, () => {
    const report: FieldReport = { path: '', reasons: [] }
    compileDownstreamTls(changed(server, change), secrets, report)
    assert.match(report.reasons.join('\n'), reason)
    assert.doesNotMatch(report.reasons.join('\n'), /very-secret|PRIVATE/)
  })
}

test('contexts that differ in one name have different keys, and equal ones the same', () => {
  const keyOf = (sans: readonly string[]): string => {
    const report: FieldReport = { path: '', reasons: [] }
    const socket = socketOf(secretUpstreamJson(sans, ['istio']))
    const plan = compileUpstreamTransport(socket, { secrets, http: undefined }, report)
    assert.deepEqual(report.reasons, [])
    assert.equal(plan.kind, 'tls')
    return plan.kind === 'tls' ? plan.tls.key : ''
  }
  assert.equal(keyOf(['spiffe://a']), keyOf(['spiffe://a']))
  assert.notEqual(keyOf(['spiffe://a']), keyOf(['spiffe://b']))
})

test('a secret from a cluster that is not static is refused', () => {
  const report: FieldReport = { path: '', reasons: [] }
  const none = { hasStatic: () => false, hasServer: () => false }
  const socket = socketOf(secretUpstreamJson([], []))
  compileUpstreamTransport(socket, { secrets: none, http: undefined }, report)
  assert.match(report.reasons.join('\n'), /no static cluster named "sds-grpc"/)
})

test('names from requests are part of the plan', () => {
  const report: FieldReport = { path: '', reasons: [] }
  const http = { autoSni: true, autoSanValidation: true, overrideAutoSniHeader: '' }
  const plan = compileUpstreamTransport(socketOf(client), { secrets, http }, report)
  assert.deepEqual(report.reasons, [])
  assert.ok(plan.kind === 'tls' && plan.tls.autoServerName && plan.tls.autoSanValidation)
})

const badSecrets: readonly (readonly [name: string, secret: object, reason: RegExp])[] = [
  [
    'a key of another certificate',
    { tls_certificate: certificateJson({ ...leaf, keyPem: other.keyPem }) },
    /^tls_certificate\.private_key: does not belong to the certificate$/,
  ],
  [
    'a key that is none',
    { tls_certificate: certificateJson({ ...leaf, keyPem: 'very-secret' }) },
    /^tls_certificate\.private_key: cannot be read \(ERR_OSSL_UNSUPPORTED\)$/,
  ],
  [
    'a chain that is none',
    { tls_certificate: certificateJson({ ...leaf, chainPem: 'nothing' }) },
    /^tls_certificate\.certificate_chain: holds no certificate in PEM form$/,
  ],
  [
    'a file that is not there',
    { validation_context: { trusted_ca: { filename: '/nonexistent' } } },
    /^validation_context\.trusted_ca\.filename: ENOENT/,
  ],
  [
    'a bundle without a root',
    { validation_context: validationJson({ certificate: undefined, bundles: { a: 'x' } }) },
    /trust_bundle: holds no certificate in PEM form/,
  ],
  [
    'another kind',
    { generic_secret: { secret: { inline_string: 'very-secret' } } },
    /no reader here$/,
  ],
]

for (const [name, content, reason] of badSecrets) {
  test(`a secret is refused for ${name}, and its content is not told`, () => {
    const result = compileSecret(json.parse(typeUrls.secret, Secret, { name: 's', ...content }))
    const reasons = result.ok ? '' : result.reasons.join('\n')
    assert.match(reasons, reason)
    assert.doesNotMatch(reasons, /very-secret|PRIVATE/)
  })
}
