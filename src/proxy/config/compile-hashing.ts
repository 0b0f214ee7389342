/** Ring hash and Maglev of a Cluster: the enum's messages and the typed ones, which say the same in other places. */
import {
  type Cluster,
  Cluster_DiscoveryType,
  type Cluster_CommonLbConfig_ConsistentHashingLbConfig as LegacyConfig,
} from '../../xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import type { ConsistentHashingLbConfig } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/common/v3/common.ts'
import type { Maglev } from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/maglev/v3/maglev.ts'
import {
  type RingHash,
  RingHash_HashFunction,
} from '../../xds/proto/generated/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash.ts'
import type { HashingSettings } from '../balance/hashing-balancer.ts'
import { type FieldReport, at, refuse } from './field-rule.ts'

const ringSizeDefault = 1024
const ringSizeLimit = 8_388_608
const tableSizeDefault = 65_537
const tableSizeLimit = 5_000_011

/** Envoy: only names that the cluster resolves are known well enough. The typed policies may ask for it anywhere. */
function refuseNames(cluster: Cluster, report: FieldReport): void {
  if (legacyCommon(cluster)?.useHostnameForHashing !== true) return
  const type = cluster.clusterDiscoveryType
  if (type?.$case === 'type' && type.value === Cluster_DiscoveryType.STRICT_DNS) return
  refuse(
    at(report, 'common_lb_config', 'consistent_hashing_lb_config', 'use_hostname_for_hashing'),
    'needs a cluster of type STRICT_DNS',
  )
}

export function legacyRing(cluster: Cluster, report: FieldReport): HashingSettings {
  refuseNames(cluster, report)
  const config = cluster.lbConfig
  const ring = config?.$case === 'ringHashLbConfig' ? config.value : undefined
  const here = at(report, 'ring_hash_lb_config')
  // XX_HASH is 0 here and 1 in the typed message, MURMUR_HASH_2 the next.
  const hash = ring?.hashFunction === 1 ? 'murmur2' : 'xx'
  const sizes = ringSizes(ring?.minimumRingSize, ring?.maximumRingSize, here)
  return { table: { kind: 'ring', hash, ...sizes }, ...common(legacyCommon(cluster), report) }
}

export function legacyMaglev(cluster: Cluster, report: FieldReport): HashingSettings {
  refuseNames(cluster, report)
  const config = cluster.lbConfig
  const maglev = config?.$case === 'maglevLbConfig' ? config.value : undefined
  const tableSize = checkedTableSize(maglev?.tableSize, at(report, 'maglev_lb_config'))
  return { table: { kind: 'maglev', tableSize }, ...common(legacyCommon(cluster), report) }
}

export function typedRing(config: RingHash, report: FieldReport): HashingSettings {
  const hash = config.hashFunction === RingHash_HashFunction.MURMUR_HASH_2 ? 'murmur2' : 'xx'
  const sizes = ringSizes(config.minimumRingSize, config.maximumRingSize, report)
  // The message wins over the fields that it replaced.
  const shared = config.consistentHashingLbConfig ?? config
  return { table: { kind: 'ring', hash, ...sizes }, ...common(shared, report) }
}

export function typedMaglev(config: Maglev, report: FieldReport): HashingSettings {
  const tableSize = checkedTableSize(config.tableSize, report)
  return {
    table: { kind: 'maglev', tableSize },
    ...common(config.consistentHashingLbConfig, report),
  }
}

function legacyCommon(cluster: Cluster): LegacyConfig | undefined {
  return cluster.commonLbConfig?.consistentHashingLbConfig
}

function common(
  config:
    | Pick<ConsistentHashingLbConfig, 'useHostnameForHashing' | 'hashBalanceFactor'>
    | undefined,
  report: FieldReport,
): Omit<HashingSettings, 'table'> {
  const balanceFactorPercent = config?.hashBalanceFactor ?? 0
  if (config?.hashBalanceFactor !== undefined && balanceFactorPercent < 100) {
    const here = at(report, 'hash_balance_factor')
    refuse(here, `value must be greater than or equal to 100, got ${balanceFactorPercent}`)
  }
  return { usesHostname: config?.useHostnameForHashing ?? false, balanceFactorPercent }
}

function ringSizes(
  minimum: number | undefined,
  maximum: number | undefined,
  report: FieldReport,
): { readonly sizeMin: number; readonly sizeMax: number } {
  const sizes = { sizeMin: minimum ?? ringSizeDefault, sizeMax: maximum ?? ringSizeLimit }
  for (const [field, size] of [
    ['minimum_ring_size', sizes.sizeMin],
    ['maximum_ring_size', sizes.sizeMax],
  ] as const) {
    if (size <= ringSizeLimit) continue
    refuse(at(report, field), `value must be less than or equal to ${ringSizeLimit}, got ${size}`)
  }
  if (sizes.sizeMin > sizes.sizeMax) {
    refuse(
      report,
      `ring hash: minimum_ring_size (${sizes.sizeMin}) > maximum_ring_size (${sizes.sizeMax})`,
    )
  }
  return sizes
}

function checkedTableSize(size: number | undefined, report: FieldReport): number {
  if (size === undefined) return tableSizeDefault
  const here = at(report, 'table_size')
  if (size > tableSizeLimit) {
    refuse(here, `value must be less than or equal to ${tableSizeLimit}, got ${size}`)
  } else if (!isPrime(size)) {
    refuse(here, `the table size of maglev must be a prime number, got ${size}`)
  }
  return size
}

function isPrime(value: number): boolean {
  if (value < 2) return false
  for (let divisor = 2; divisor * divisor <= value; divisor += 1) {
    if (value % divisor === 0) return false
  }
  return true
}
