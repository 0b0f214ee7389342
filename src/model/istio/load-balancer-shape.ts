/** loadBalancer of a traffic policy: simple or consistent hash, localities, zones, warm-up. */
import { durationText } from '../schema/field-shape.ts'
import { nonEmpty } from '../schema/format.ts'
import { headerName } from '../schema/http-format.ts'
import { atMostOne, excludes, presentOf } from '../schema/rule.ts'
import {
  bool,
  deprecated,
  int,
  list,
  number,
  object,
  oneOf,
  refine,
  required,
  text,
} from '../schema/shape.ts'
import type { Reading, Rule, Shape } from '../schema/shape.ts'
import type {
  ConsistentHash,
  HttpCookie,
  LoadBalancerSettings,
  Warmup,
} from './destination-rule.ts'
import { localityLbSetting, zoneAwareLbSetting } from './locality-shape.ts'

export function loadBalancer(): Shape<LoadBalancerSettings> {
  return object<LoadBalancerSettings>(
    {
      simple: oneOf(
        'UNSPECIFIED',
        'LEAST_CONN',
        'RANDOM',
        'PASSTHROUGH',
        'ROUND_ROBIN',
        'LEAST_REQUEST',
      ),
      consistentHash: consistentHash(),
      localityLbSetting: localityLbSetting(),
      zoneAwareLbSetting: zoneAwareLbSetting(),
      warmup: object<Warmup>({
        duration: required(durationText()),
        minimumPercent: number({ min: 0, max: 100 }),
        aggression: number({ min: 1 }),
      }),
      warmupDurationSecs: deprecated(durationText(), {
        code: 'IST0002',
        message: 'warmupDurationSecs is deprecated',
        remedy: 'Use warmup.duration instead.',
      }),
    },
    atMostOne<LoadBalancerSettings>('simple', 'consistentHash'),
    excludes<LoadBalancerSettings>('localityLbSetting', 'zoneAwareLbSetting'),
    warnWarmup,
  )
}

/** Only the balancers that know weights can warm up. */
const warnWarmup: Rule<LoadBalancerSettings> = (value, path, reading) => {
  const name = value.warmup === undefined ? 'warmupDurationSecs' : 'warmup'
  if (value[name] === undefined) return
  const isIgnored =
    value.consistentHash !== undefined ||
    value.simple === 'RANDOM' ||
    value.simple === 'PASSTHROUGH'
  if (!isIgnored) return
  reading.report(`${path}.${name}`, {
    code: 'IST0133',
    severity: 'warning',
    message: `${name} works with ROUND_ROBIN and LEAST_REQUEST only`,
    remedy: 'Remove it, or choose one of these.',
  })
}

const hashKeys = ['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'] as const

function consistentHash(): Shape<ConsistentHash> {
  return object<ConsistentHash>(
    {
      httpHeaderName: text(headerName),
      httpCookie: httpCookie(),
      useSourceIp: bool(),
      httpQueryParameterName: text(nonEmpty),
      ringHash: object<NonNullable<ConsistentHash['ringHash']>>({
        minimumRingSize: int({ min: 0 }),
      }),
      maglev: object<NonNullable<ConsistentHash['maglev']>>({
        tableSize: required(refine(int({ min: 1, max: maglevTableSizeMax }), checkPrime)),
      }),
      minimumRingSize: deprecated(int({ min: 0 }), (value) =>
        value === 0
          ? undefined
          : {
              code: 'IST0133',
              message: 'consistentHash.minimumRingSize is deprecated',
              remedy: 'Use ringHash.minimumRingSize instead.',
            },
      ),
    },
    atMostOne<ConsistentHash>(...hashKeys),
    atMostOne<ConsistentHash>('ringHash', 'maglev', 'minimumRingSize'),
    warnWithoutKey,
  )
}

const warnWithoutKey: Rule<ConsistentHash> = (_, path, reading) => {
  if (presentOf(hashKeys, path, reading).length > 0) return
  reading.report(path, {
    code: 'IST0133',
    severity: 'warning',
    message: `consistentHash without a key (${hashKeys.join(', ')}) hashes nothing`,
    remedy: 'Add one of the keys.',
  })
}

function httpCookie(): Shape<HttpCookie> {
  return object<HttpCookie>({
    name: required(text(nonEmpty)),
    path: text(),
    ttl: durationText({ isZeroAllowed: true }),
    attributes: list(
      object<NonNullable<HttpCookie['attributes']>[number]>({
        name: required(text(nonEmpty)),
        value: text(),
      }),
    ),
  })
}

/** Envoy's limit: the table is a prime below 5 000 011. */
const maglevTableSizeMax = 5_000_010

function checkPrime(value: number, path: string, reading: Reading): void {
  if (isPrime(value)) return
  reading.report(path, {
    message: `must be a prime number, got ${String(value)}`,
    remedy: 'Use a prime such as 65537.',
  })
}

/** As Envoy has it: 1 counts as prime. */
function isPrime(value: number): boolean {
  if (value < 4) return value > 0
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false
  return true
}
