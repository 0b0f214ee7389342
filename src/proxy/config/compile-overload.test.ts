/** What `overload_manager` of a bootstrap becomes, and the words in which each mistake in it is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { describeError } from '../../lib/mesh-error.ts'
import { parseBootstrap } from './bootstrap.ts'

const monitors = 'type.googleapis.com/envoy.extensions.resource_monitors'
const injected = `{name: injected, typed_config: {"@type": ${monitors}.injected_resource.v3.InjectedResourceConfig, filename: /p}}`
const requests = 'envoy.overload_actions.stop_accepting_requests'
const at = (value: number): string => `{name: injected, threshold: {value: ${value}}}`

function parse(manager: string) {
  return parseBootstrap({ text: `overload_manager: ${manager}`, file: 'b.yaml' })
}

test('monitors, actions, load-shed points and the ceiling of connections are read', () => {
  const { overload, warnings } = parse(`
  refresh_interval: 0.25s
  resource_monitors:
  - ${injected}
  - name: envoy.resource_monitors.fixed_heap
    typed_config: {"@type": ${monitors}.fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: 2147483648}
  - name: envoy.resource_monitors.global_downstream_max_connections
    typed_config: {"@type": ${monitors}.downstream_connections.v3.DownstreamConnectionsConfig, max_active_downstream_connections: 2147483647}
  actions:
  - {name: ${requests}, triggers: [${at(0.98)}]}
  - name: envoy.overload_actions.disable_http_keepalive
    triggers: [{name: envoy.resource_monitors.fixed_heap, scaled: {scaling_threshold: 0.5, saturation_threshold: 0.75}}]
  - {name: envoy.overload_actions.shrink_heap, triggers: [${at(0.95)}]}
  loadshed_points:
  - {name: envoy.load_shed_points.tcp_listener_accept, triggers: [${at(1)}]}`)
  assert.equal(overload.refreshIntervalMs, 250)
  assert.equal(overload.connectionsMax, 2_147_483_647)
  assert.deepEqual(overload.monitors, [
    { kind: 'injected', name: 'injected', file: '/p' },
    {
      kind: 'fixed-heap',
      name: 'envoy.resource_monitors.fixed_heap',
      bytesMax: 2_147_483_648,
    },
  ])
  assert.deepEqual(
    overload.actions.map(({ action, kind, triggers }) => [action, kind, triggers[0]]),
    [
      [
        'stop_accepting_requests',
        'action',
        { kind: 'threshold', monitor: 'injected', value: 0.98 },
      ],
      [
        'disable_http_keepalive',
        'action',
        {
          kind: 'scaled',
          monitor: 'envoy.resource_monitors.fixed_heap',
          scalingThreshold: 0.5,
          saturationThreshold: 0.75,
        },
      ],
      [undefined, 'action', { kind: 'threshold', monitor: 'injected', value: 0.95 }],
      [
        'tcp_listener_accept',
        'load-shed-point',
        { kind: 'threshold', monitor: 'injected', value: 1 },
      ],
    ],
  )
  assert.match(warnings.join(), /shrink_heap has no effect/)
})

test('the memory of the container is held against its own limit, or against one that is given', () => {
  const plansOf = (field: string) =>
    parse(monitor('m', 'cgroup_memory.v3.CgroupMemoryConfig', field)).overload.monitors
  const plan = { kind: 'cgroup-memory', name: 'm' }
  assert.deepEqual(plansOf(''), [{ ...plan, bytesMax: undefined }])
  assert.deepEqual(plansOf(', max_memory_bytes: 1000'), [{ ...plan, bytesMax: 1_000 }])
  assert.deepEqual(plansOf(', max_memory_bytes: 0'), [{ ...plan, bytesMax: undefined }])
})

test('a second between two looks unless it is said', () => {
  assert.equal(parse('{}').overload.refreshIntervalMs, 1_000)
})

const action = (name: string, triggers: string): string =>
  `{resource_monitors: [${injected}], actions: [{name: ${name}, triggers: [${triggers}]}]}`
const monitor = (name: string, type: string, field: string): string =>
  `{resource_monitors: [{name: ${name}, typed_config: {"@type": ${monitors}.${type}${field}}}]}`

const mistakes: readonly (readonly [name: string, manager: string, reason: RegExp])[] = [
  [
    'a monitor twice',
    `{resource_monitors: [${injected}, ${injected}]}`,
    /Duplicate resource monitor injected/,
  ],
  [
    'a monitor without a name',
    monitor("''", 'injected_resource.v3.InjectedResourceConfig', ', filename: /p'),
    /resource_monitors\[0\]\.name: value length must be at least 1 characters/,
  ],
  [
    'a monitor without configuration',
    '{resource_monitors: [{name: x}]}',
    /resource_monitors\[0\]\.typed_config: is required/,
  ],
  [
    'another monitor',
    '{resource_monitors: [{name: x, typed_config: {"@type": type.googleapis.com/google.protobuf.Struct, value: {}}}]}',
    /resource_monitors\[0\]: x \(google\.protobuf\.Struct\) is not implemented/,
  ],
  [
    'a heap of nothing',
    monitor('h', 'fixed_heap.v3.FixedHeapConfig', ''),
    /max_heap_size_bytes: value must be greater than 0/,
  ],
  [
    'no connections',
    monitor(
      'envoy.resource_monitors.global_downstream_max_connections',
      'downstream_connections.v3.DownstreamConnectionsConfig',
      '',
    ),
    /max_active_downstream_connections: value must be greater than 0/,
  ],
  [
    'a ceiling of connections by another name',
    monitor(
      'c',
      'downstream_connections.v3.DownstreamConnectionsConfig',
      ', max_active_downstream_connections: 1',
    ),
    /must be envoy\.resource_monitors\.global_downstream_max_connections, got "c"/,
  ],
  [
    'a file without a name',
    monitor('i', 'injected_resource.v3.InjectedResourceConfig', ''),
    /filename: value length must be at least 1 characters/,
  ],
  [
    'a misspelt action',
    action('envoy.overload_actions.stop_requests', at(0.5)),
    /actions\[0\]\.name: Unknown Overload Manager Action envoy\.overload_actions\.stop_requests/,
  ],
  [
    'an action of Envoy’s that we have not',
    action('envoy.overload_actions.reduce_timeouts', at(0.5)),
    /reduce_timeouts is not implemented/,
  ],
  [
    'a point among the actions',
    action('envoy.load_shed_points.tcp_listener_accept', at(0.5)),
    /Unknown Overload Manager Action/,
  ],
  [
    'an action twice',
    `{resource_monitors: [${injected}], actions: [{name: ${requests}, triggers: [${at(1)}]}, {name: ${requests}, triggers: [${at(1)}]}]}`,
    /Duplicate overload action envoy\.overload_actions\.stop_accepting_requests/,
  ],
  [
    'an action without a trigger',
    action(requests, ''),
    /triggers: value must contain at least 1 item/,
  ],
  [
    'a trigger twice',
    action(requests, `${at(0.5)}, ${at(0.6)}`),
    /Duplicate trigger resource for overload action envoy\.overload_actions\.stop_accepting_requests/,
  ],
  [
    'a trigger of nothing',
    action(requests, '{name: x, threshold: {value: 0.5}}'),
    /Unknown trigger resource x for overload action envoy\.overload_actions\.stop_accepting_requests/,
  ],
  [
    'a trigger without a threshold',
    action(requests, '{name: injected}'),
    /triggers\[0\]: trigger_oneof: is required/,
  ],
  [
    'a threshold above all',
    action(requests, at(1.5)),
    /threshold\.value: value must be inside range \[0, 1\], got 1\.5/,
  ],
  [
    'thresholds the wrong way round',
    action(
      requests,
      '{name: injected, scaled: {scaling_threshold: 0.9, saturation_threshold: 0.8}}',
    ),
    /scaling_threshold must be less than saturation_threshold/,
  ],
  [
    'a load-shed point that we have not',
    `{resource_monitors: [${injected}], loadshed_points: [{name: envoy.load_shed_points.hcm_ondata_creating_codec, triggers: [${at(1)}]}]}`,
    /loadshed_points\[0\]\.name: load-shed point "envoy\.load_shed_points\.hcm_ondata_creating_codec" is not implemented/,
  ],
  [
    'no time between two looks',
    '{refresh_interval: 0s}',
    /refresh_interval: value must be greater than or equal to 1ms/,
  ],
  [
    'accounts of buffers',
    '{buffer_factory_config: {minimum_account_to_track_power_of_two: 20}}',
    /buffer_factory_config: accounts of buffers/,
  ],
]

for (const [name, manager, reason] of mistakes) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parse(manager),
      (error: unknown) => {
        assert.match(describeError(error), reason)
        // Each says where it stands.
        assert.match(describeError(error), /b\.yaml:1:\d+: overload_manager/)
        return true
      },
    )
  })
}
