/** Address ranges (Envoy `core.CidrRange`) as a function that tells whether an address lies inside one of them. */
import { BlockList, isIPv6 } from 'node:net'

import type { CidrRange } from '../../xds/proto/generated/envoy/config/core/v3/address.ts'
import { type FieldReport, at, refuse, showValue } from './field-rule.ts'
import { isIp } from './message-value.ts'

export function compileCidrRanges(
  ranges: readonly CidrRange[],
  report: FieldReport,
): (address: string) => boolean {
  // Two lists: Node finds an IPv4 address that is mapped into IPv6 in ranges of IPv4, which Envoy does not.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
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
      lists[family].addSubnet(range.addressPrefix, length, family)
    }
  }
  return (address) => {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    return lists[family].check(address, family)
  }
}
