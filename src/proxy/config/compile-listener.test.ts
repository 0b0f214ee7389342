/** What a Listener becomes, with its filters, and why one is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { envoyMessage } from '../../../test/support/envoy-message.ts'
import { seededRandom } from '../../lib/random.ts'
import { compileListener } from './compile-listener.ts'
import type { CompileScope } from './compile-scope.ts'
import type { HttpPlan } from './listener-plan.ts'
import { noRuntime, readRuntime } from './runtime-values.ts'

const scope: CompileScope = { random: seededRandom(1), hostname: 'test', runtime: noRuntime }
const router =
  '{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}'

function listenerWith(filter: string, more = ''): string {
  return `
name: l
address: {socket_address: {address: 127.0.0.1, port_value: 0}}
${more}
filter_chains: [{filters: [${filter}]}]`
}

function manager(fields: string, filters = `[${router}]`): string {
  return `{name: hcm, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: s, http_filters: ${filters}, ${fields}}}`
}

const routes = 'route_config: {name: r}'

function httpPlan(text: string): HttpPlan {
  const result = compileListener(envoyMessage.listener(text), scope)
  assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
  assert.equal(result.value.chains[0]?.network.kind, 'http')
  return result.value.chains[0]?.network
}

function reasonsOf(text: string): readonly string[] {
  const result = compileListener(envoyMessage.listener(text), scope)
  return result.ok ? [] : result.reasons
}

test('a connection manager that says nothing gets Envoy’s defaults', () => {
  const { settings } = httpPlan(listenerWith(manager(routes)))
  assert.equal(settings.headersBytesMax, 61_440)
  assert.equal(settings.headersCountMax, 100)
  assert.equal(settings.idleTimeoutMs, 3_600_000)
  assert.equal(settings.streamIdleTimeoutMs, 300_000)
  assert.equal(settings.requestTimeoutMs, 0)
  assert.equal(settings.drainTimeoutMs, 5_000)
  assert.equal(settings.delayedCloseTimeoutMs, 1_000)
  assert.equal(settings.serverName, 'envoy')
  assert.equal(settings.generateRequestId, true)
  assert.equal(settings.useRemoteAddress, false)
  assert.equal(settings.escapedSlashes, 'keep')
  assert.equal(settings.stripPort, 'none')
  assert.equal(settings.acceptHttp10, false)
  assert.equal(settings.allowAbsoluteUrl, true)
})

test('settings are taken over', () => {
  const { settings } = httpPlan(
    listenerWith(
      manager(`${routes}, strip_matching_host_port: true, via: v, server_name: me,
        path_with_escaped_slashes_action: REJECT_REQUEST, normalize_path: true,
        internal_address_config: {cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]},
        proxy_100_continue: true, forward_client_cert_details: ALWAYS_FORWARD_ONLY,
        common_http_protocol_options: {max_stream_duration: 2s, max_connection_duration: 3s},
        upgrade_configs: [{upgrade_type: WebSocket}, {upgrade_type: CONNECT, enabled: false}]`),
    ),
  )
  assert.equal(settings.stripPort, 'matching')
  assert.equal(settings.via, 'v')
  assert.equal(settings.proxies100Continue, true)
  assert.equal(settings.clientCert?.mode, 'always-forward-only')
  assert.equal(settings.maxStreamDurationMs, 2_000)
  assert.equal(settings.maxConnectionDurationMs, 3_000)
  assert.equal(settings.serverName, 'me')
  assert.equal(settings.escapedSlashes, 'reject')
  assert.equal(settings.isInternalAddress?.('10.1.2.3'), true)
  assert.equal(settings.isInternalAddress?.('11.1.2.3'), false)
  assert.equal(settings.isInternalAddress?.('::ffff:10.1.2.3'), false)
  assert.deepEqual([...settings.upgrades], ['websocket'])
})

test('routes come by name from RDS', () => {
  const plan = httpPlan(
    listenerWith(
      manager('rds: {route_config_name: r, config_source: {ads: {}, initial_fetch_timeout: 3s}}'),
    ),
  )
  assert.deepEqual(plan.routes, { kind: 'rds', name: 'r', initialFetchTimeoutMs: 3_000 })
})

test('an internal listener is reached by its name', () => {
  const result = compileListener(
    envoyMessage.listener(
      `{name: inner, internal_listener: {}, filter_chains: [{filters: [${manager(routes)}]}]}`,
    ),
    scope,
  )
  assert.ok(result.ok)
  assert.deepEqual(result.value.address, { kind: 'internal', listener: 'inner' })
})

test('the runtime limits the connections of a listener', () => {
  const { values } = readRuntime([
    { envoy: { resource_limits: { listener: { l: { connection_limit: 7 } } } } },
  ])
  const message = envoyMessage.listener(listenerWith(manager(routes)))
  const result = compileListener(message, { ...scope, runtime: values })
  assert.equal(result.ok && result.value.connectionsMax, 7)
})

test('a TCP proxy splits by weight', () => {
  const proxy = `{name: t, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, weighted_clusters: {clusters: [{name: a, weight: 1}, {name: b, weight: 3}]}}}`
  const result = compileListener(envoyMessage.listener(listenerWith(proxy)), scope)
  assert.ok(result.ok)
  const network = result.value.chains[0]?.network
  assert.equal(network?.kind, 'tcp')
  if (network?.kind !== 'tcp') return
  const { pickCluster } = network.settings
  assert.deepEqual(
    [0, 0.24, 0.25, 0.99].map((draw) => pickCluster(draw)),
    ['a', 'a', 'b', 'b'],
  )
})

const stats = (value: string, rest = ''): string =>
  `{name: istio.stats, ${rest} typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct, type_url: type.googleapis.com/stats.PluginConfig, value: ${value}}}`

test('istio.stats becomes an observer and no stage', () => {
  const plan = httpPlan(
    listenerWith(
      manager(routes, `[${stats('{reporter: source, labels: {source_workload: w}}')}, ${router}]`),
    ),
  )
  assert.equal(plan.filters[0]?.openFilter, undefined)
  assert.notEqual(plan.filters[0]?.openObserver, undefined)
})

test('an unknown filter that is optional is left out', () => {
  const unknown =
    '{name: x, is_optional: true, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.gcp_authn.v3.GcpAuthnFilterConfig}}'
  assert.deepEqual(httpPlan(listenerWith(manager(routes, `[${unknown}, ${router}]`))).filters, [])
})

const filter = (type: string): string =>
  `{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.${type}}}`

const anyFlag = 'filter: {response_flag_filter: {}}'

const refusals: readonly (readonly [claim: string, text: string, reason: RegExp])[] = [
  [
    'no router',
    listenerWith(manager(routes, '[]')),
    /http_filters: at least the router is required/,
  ],
  [
    'a router that is not last',
    listenerWith(manager(routes, `[${router}, ${filter('cors.v3.Cors')}]`)),
    /terminal filter named router of type envoy\.filters\.http\.router must be the last filter in a http filter chain/,
  ],
  [
    'a last filter that is no router',
    listenerWith(manager(routes, `[${filter('cors.v3.Cors')}]`)),
    /non-terminal filter named f is the last filter/,
  ],
  [
    'RBAC, which is never ignored',
    listenerWith(manager(routes, `[${filter('rbac.v3.RBAC')}, ${router}]`)),
    /http_filters\[0\]: filter f \(envoy\.extensions\.filters\.http\.rbac\.v3\.RBAC\): authorization \(RBAC\) is not implemented yet/,
  ],
  [
    'an unknown filter',
    listenerWith(manager(routes, `[${filter('csrf.v3.CsrfPolicy')}, ${router}]`)),
    /filter f \(envoy\.extensions\.filters\.http\.csrf\.v3\.CsrfPolicy\) is not implemented/,
  ],
  [
    'a reporter that is neither side',
    listenerWith(manager(routes, `[${stats('{reporter: both}')}, ${router}]`)),
    /http_filters\[0\]\.typed_config\.value\.reporter: must be "source" or "destination", got "both"/,
  ],
  ['no routes', listenerWith(manager('via: x')), /route_specifier: is required/],
  [
    'HTTP/3',
    listenerWith(manager(`${routes}, codec_type: HTTP3`)),
    /codec_type: HTTP\/3 is not implemented/,
  ],
  [
    'TLS without a certificate',
    `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [${manager(routes)}], transport_socket: {name: tls, typed_config: {"@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}}]}`,
    /filter_chains\[0\].transport_socket.typed_config: No TLS certificates found for server context/,
  ],
  [
    'two filter chains for the same connections',
    `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [${manager(routes)}]}, {filters: [${manager(routes)}]}]}`,
    /filter_chains\[1\]: error adding listener 'l': filter chain '' has the same matching rules defined as ''/,
  ],
  [
    'a wildcard inside a server name',
    `{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filter_chain_match: {server_names: [a*.b]}, filters: [${manager(routes)}]}]}`,
    /filter_chains\[0\]\.filter_chain_match\.server_names\[0\]: partial wildcards are not supported/,
  ],
  [
    'no filter chain',
    '{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 0}}}',
    /error adding listener 'l': no filter chains specified/,
  ],
  [
    'an unknown network filter',
    listenerWith(
      '{name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy}}',
    ),
    /network filter r \(envoy\.extensions\.filters\.network\.redis_proxy\.v3\.RedisProxy\) is not implemented/,
  ],
  [
    'a log format that cannot be read',
    listenerWith(
      manager(
        `${routes}, access_log: [{name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null, log_format: {text_format: "%NOPE%"}}}]`,
      ),
    ),
    /access_log\[0\]\.typed_config: .*NOPE/,
  ],
  [
    'a setting inside that is not implemented',
    listenerWith(manager(`${routes}, add_user_agent: true`)),
    /filters\[0\]\.typed_config\.add_user_agent: add_user_agent is not implemented/,
  ],
  [
    'a strict check of another header',
    listenerWith(
      manager(
        routes,
        '[{name: router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, strict_check_headers: [x-envoy-max-retries, x-a]}}]',
      ),
    ),
    /strict_check_headers\[1\]: value must be in list \[x-envoy-upstream-rq-timeout-ms .*\], got "?x-a"?/,
  ],
  [
    'a mapper of replies without a filter',
    listenerWith(manager(`${routes}, local_reply_config: {mappers: [{status_code: 500}]}`)),
    /local_reply_config\.mappers\[0\]\.filter: is required/,
  ],
  [
    'a mapper to a status that is none',
    listenerWith(
      manager(`${routes}, local_reply_config: {mappers: [{${anyFlag}, status_code: 700}]}`),
    ),
    /mappers\[0\]\.status_code: value must be inside range \[200, 600\), got 700/,
  ],
  [
    'a mapper whose filter is not implemented',
    listenerWith(
      manager(`${routes}, local_reply_config: {mappers: [{filter: {traceable_filter: {}}}]}`),
    ),
    /mappers\[0\]\.filter: traceableFilter: not implemented/,
  ],
  [
    'a reply’s body from a file',
    listenerWith(
      manager(`${routes}, local_reply_config: {mappers: [{${anyFlag}, body: {filename: /x}}]}`),
    ),
    /mappers\[0\]\.body: only inline_string and inline_bytes are implemented/,
  ],
  [
    'a reply’s format with an unknown operator',
    listenerWith(manager(`${routes}, local_reply_config: {body_format: {text_format: "%NOPE%"}}`)),
    /local_reply_config\.body_format: .*NOPE/,
  ],
  [
    'a reply’s header that nobody may change',
    listenerWith(
      manager(
        `${routes}, local_reply_config: {mappers: [{${anyFlag}, headers_to_add: [{header: {key: ":status", value: "1"}}]}]}`,
      ),
    ),
    /mappers\[0\]\.headers_to_add\[0\]\.header\.key: :-prefixed or host headers may not be changed/,
  ],
  [
    'a scheme that is none',
    listenerWith(manager(`${routes}, scheme_header_transformation: {scheme_to_overwrite: ftp}`)),
    /scheme_to_overwrite: value must be in list \[http, https\], got ftp/,
  ],
  [
    'a header format that says nothing',
    listenerWith(manager(`${routes}, http_protocol_options: {header_key_format: {}}`)),
    /http_protocol_options\.header_key_format\.header_format: is required/,
  ],
  [
    'another formatter of headers',
    listenerWith(
      manager(
        `${routes}, http_protocol_options: {header_key_format: {stateful_formatter: {name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}`,
      ),
    ),
    /stateful_formatter\.typed_config: envoy\.extensions\.filters\.http\.router\.v3\.Router is not implemented/,
  ],
  [
    'reason phrases to pass on',
    listenerWith(
      manager(
        `${routes}, http_protocol_options: {header_key_format: {stateful_formatter: {name: f, typed_config: {"@type": type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig, forward_reason_phrase: true}}}}`,
      ),
    ),
    /forward_reason_phrase: reason phrases are not passed on/,
  ],
  [
    'the path of a CONNECT',
    tunnelBy('post_path: /a'),
    /tunneling_config\.post_path: needs use_post: CONNECT has no path/,
  ],
  [
    'a path of a POST that is none',
    tunnelBy('use_post: true, post_path: "/a b"'),
    /tunneling_config\.post_path: is no path, got "\/a b"/,
  ],
  [
    'TCP connections that may last no time',
    tcpWith('max_downstream_connection_duration: 0s'),
    /max_downstream_connection_duration: value must be greater than 0s, got 0s/,
  ],
]

function tunnelBy(settings: string): string {
  return tcpWith(`tunneling_config: {hostname: "a:1", ${settings}}`)
}

function tcpWith(settings: string): string {
  const type = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'
  return listenerWith(
    `{name: tcp, typed_config: {"@type": ${type}, stat_prefix: s, cluster: c, ${settings}}}`,
  )
}

for (const [claim, text, reason] of refusals) {
  test(`a listener is refused for ${claim}`, () => {
    const reasons = reasonsOf(text)
    assert.ok(
      reasons.some((found) => reason.test(found)),
      reasons.join('\n'),
    )
  })
}

function state(values: string): string {
  return `{name: state, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.set_filter_state.v3.Config, on_new_connection: [${values}]}}`
}

const hashable = 'factory_key: envoy.hashable_string'
const who = `{object_key: who, ${hashable}, format_string: {text_format_source: {inline_string: me}}}`

test('what filters say of a connection stands beside the settings; the last word counts', () => {
  const { settings } = httpPlan(
    listenerWith(`${state(who)}, ${state(who.replace('me', 'you'))}, ${manager(routes)}`),
  )
  assert.deepEqual(settings.filterState, { who: 'you' })
  assert.equal(httpPlan(listenerWith(manager(routes))).settings.filterState, undefined)
})

test('connections are hashed by what a filter says, by their client, or not at all', () => {
  const hashes = (policy: string) => {
    const proxy = `{name: tcp, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: s, cluster: c, hash_policy: [${policy}]}}`
    const result = compileListener(
      envoyMessage.listener(listenerWith(`${state(who)}, ${proxy}`)),
      scope,
    )
    assert.ok(result.ok, result.ok ? '' : result.reasons.join('; '))
    const network = result.value.chains[0]?.network
    return network?.kind === 'tcp' ? network.settings.hashes : undefined
  }
  assert.deepEqual(hashes('{filter_state: {key: who}}'), { text: 'me' })
  assert.equal(hashes('{filter_state: {key: nobody}}'), undefined)
  assert.equal(hashes('{source_ip: {}}'), 'source-ip')
  assert.equal(hashes(''), undefined)
})

for (const [name, value, reason] of [
  [
    'without a key',
    `{${hashable}, format_string: {text_format: x}}`,
    '.object_key: value length must be at least 1 characters',
  ],
  [
    'that nobody hashes',
    '{object_key: k, factory_key: envoy.string, format_string: {text_format: x}}',
    '.factory_key: objects of "envoy.string" are not implemented, only of envoy.hashable_string',
  ],
  [
    'of a kind by its key',
    '{object_key: k, format_string: {text_format: x}}',
    '.object_key: objects of "k" are not implemented, only of envoy.hashable_string',
  ],
  ['without text', `{object_key: k, ${hashable}}`, '.format_string: text is required'],
  [
    'with operators',
    `{object_key: k, ${hashable}, format_string: {text_format: "%START_TIME%"}}`,
    '.format_string: operators are not implemented, got "%START_TIME%"',
  ],
  [
    'from a file',
    `{object_key: k, ${hashable}, format_string: {text_format_source: {filename: /x}}}`,
    '.format_string.text_format_source.filename: text from files is not implemented (value "/x")',
  ],
  [
    'that goes on upstream',
    `{object_key: k, ${hashable}, shared_with_upstream: ONCE, format_string: {text_format: x}}`,
    '.shared_with_upstream: sharing state with upstream connections is not implemented (value 1)',
  ],
] as const) {
  test(`state ${name} is refused`, () => {
    const reasons = reasonsOf(listenerWith(`${state(value)}, ${manager(routes)}`))
    const place = 'filter_chains[0].filters[0].typed_config.on_new_connection[0]'
    assert.deepEqual(reasons, [`${place}${reason}`])
  })
}
