/** Which of the settings of localities and zones counts, and how regions follow each other; facts of Istio's own tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type {
  LocalityLbSetting,
  LoadBalancerSettings,
  ZoneAwareLbSetting,
} from '../model/istio/destination-rule.ts'
import type { TrafficDistribution } from '../registry/service.ts'
import { LocalityLbEndpoints } from '../xds/proto/generated/envoy/config/endpoint/v3/endpoint_components.ts'
import { meshSettingsOf } from './input.ts'
import { localityPolicyOf, placeGroups } from './locality.ts'

interface Row {
  readonly title: string
  readonly meshZones?: ZoneAwareLbSetting
  readonly meshLocalities?: LocalityLbSetting
  readonly rule?: LoadBalancerSettings
  readonly service?: TrafficDistribution
  /** Undefined: places play no part. */
  readonly expected: 'rule zones' | 'mesh zones' | 'rule' | 'service' | 'mesh' | undefined
}

const toEu = [{ from: 'us', to: 'eu' }]
const off = { enabled: false }

const rows: readonly Row[] = [
  { title: 'nothing is written: the mesh orders localities', expected: 'mesh' },
  { title: 'the mesh alone, zones', meshZones: {}, expected: 'mesh zones' },
  { title: 'zones of a rule alone', rule: { zoneAwareLbSetting: {} }, expected: 'rule zones' },
  {
    title: 'zones of a rule before zones of the mesh',
    meshZones: {},
    rule: { zoneAwareLbSetting: { failover: toEu } },
    expected: 'rule zones',
  },
  {
    title: 'zones of a rule before localities of the mesh',
    meshLocalities: { failover: toEu },
    rule: { zoneAwareLbSetting: {} },
    expected: 'rule zones',
  },
  {
    title: 'localities of a rule before zones of the mesh',
    meshZones: {},
    rule: { localityLbSetting: { failover: toEu } },
    expected: 'rule',
  },
  {
    title: 'zones of the mesh before its localities',
    meshZones: { failover: toEu },
    meshLocalities: {},
    expected: 'mesh zones',
  },
  {
    title: 'all of the mesh off',
    meshZones: off,
    meshLocalities: off,
    expected: undefined,
  },
  {
    title: 'zones of the mesh off: its localities',
    meshZones: off,
    meshLocalities: { failover: toEu },
    expected: 'mesh',
  },
  {
    title: 'zones of a rule off: none, whatever the mesh says',
    meshZones: {},
    meshLocalities: { enabled: true },
    rule: { zoneAwareLbSetting: off },
    expected: undefined,
  },
  {
    title: 'localities of a rule off: none',
    meshZones: {},
    rule: { localityLbSetting: off },
    expected: undefined,
  },
  {
    title: 'zones of a rule on, of the mesh off',
    meshZones: off,
    rule: { zoneAwareLbSetting: { enabled: true } },
    expected: 'rule zones',
  },
  {
    title: 'a service that prefers its zone before zones of the mesh',
    meshZones: {},
    service: 'same-zone',
    expected: 'service',
  },
  {
    title: 'zones of a rule before a service that prefers its zone',
    rule: { zoneAwareLbSetting: {} },
    service: 'same-zone',
    expected: 'rule zones',
  },
  {
    title: 'localities of a rule before a service that prefers its zone',
    rule: { localityLbSetting: { failover: toEu } },
    service: 'same-zone',
    expected: 'rule',
  },
]

for (const row of rows) {
  test(`what counts: ${row.title}`, () => assert.equal(countedOf(row), row.expected))
}

function countedOf({ meshZones, meshLocalities, rule, service }: Row): Row['expected'] {
  const mesh = meshSettingsOf({
    ...(meshZones && { zoneAwareLbSetting: meshZones }),
    ...(meshLocalities && { localityLbSetting: meshLocalities }),
  })
  const found = localityPolicyOf({
    policy: { loadBalancer: rule, outlierDetection: undefined },
    service: service === undefined ? {} : { trafficDistribution: service },
    mesh,
  })
  const counted = found?.zones ?? found?.setting
  const named = [
    ['rule zones', rule?.zoneAwareLbSetting],
    ['mesh zones', meshZones],
    ['rule', rule?.localityLbSetting],
    ['mesh', mesh.localityLb],
  ] as const
  const [source = 'service'] = named.find(([, setting]) => setting === counted) ?? []
  return counted === undefined ? undefined : source
}

const places = ['us/a/1', 'us/a/2', 'us/b', 'eu', 'asia', '']

for (const [title, setting, expected] of [
  ['other regions are one', {}, [0, 0, 0, 1, 1, 1]],
  ['the region that it fails over to goes first', { failover: toEu }, [0, 0, 0, 1, 2, 2]],
  [
    'a failover of another region says nothing',
    { failover: [{ from: 'asia', to: 'eu' }] },
    [0, 0, 0, 1, 1, 1],
  ],
] as const) {
  test(`regions: ${title}, without outlier detection too`, () => {
    assert.deepEqual(prioritiesOf(setting, 'us/a/1'), expected)
  })
}

test('a client elsewhere has no own region, and priorities begin at 0 all the same', () => {
  assert.deepEqual(
    prioritiesOf({ failover: [{ from: 'mars', to: 'eu' }] }, 'mars'),
    [1, 1, 1, 0, 1, 1],
  )
})

function prioritiesOf(zones: ZoneAwareLbSetting, locality: string): number[] {
  const policy = localityPolicyOf({
    policy: { loadBalancer: { zoneAwareLbSetting: zones }, outlierDetection: undefined },
    service: {},
    mesh: meshSettingsOf(),
  })
  const groups = places.map((place) => {
    const [region = '', zone = '', subZone = ''] = place.split('/')
    const group = LocalityLbEndpoints.fromPartial({ locality: { region, zone, subZone } })
    return { group, endpoints: [] }
  })
  return placeGroups(groups, policy, { locality, labels: {} }).map(({ priority }) => priority)
}
