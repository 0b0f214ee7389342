/** Address ranges (Envoy `core.CidrRange`) as a function that tells whether an address lies inside one of them. */
import { BlockList, isIPv6 } from 'node:net'

import type { CidrRange } from '../../xds/proto/generated/envoy/config/core/v3/address.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'
import { isIp } from './message-value.ts'

export function compileCidrRanges(
  ranges: readonly CidrRange[],
  report: FieldReport,
): (address: string) => boolean {
  const list = new BlockList()
  for (const [index, range] of ranges.entries()) {
    const here = at(report, index)
    const family = isIPv6(range.addressPrefix) ? 'ipv6' : 'ipv4'
    const bits = family === 'ipv6' ? 128 : 32
    const length = range.prefixLen ?? 0
    if (!isIp(range.addressPrefix)) {
      refuse(at(here, 'address_prefix'), `malformed IP address: ${showValue(range.addressPrefix)}`)
    } else if (length > bits) {
      refuse(at(here, 'prefix_len'), `value must be less than or equal to ${bits}, got ${length}`)
    } else {
      list.addSubnet(range.addressPrefix, length, family)
    }
  }
  return (address) => list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}
