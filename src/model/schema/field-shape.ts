/** Shapes that several kinds share: labels, ports, durations, namespaces to export to. */
import { isIstioLabel, portRange } from './host-format.ts'
import { duration } from './http-format.ts'
import type { DurationOptions } from './http-format.ts'
import { labelKey, labelValue } from './name-format.ts'
import { reportRepeats } from './rule.ts'
import { clip, int, list, mapOf, named, refine, text } from './shape.ts'
import type { Check, Reading, Shape } from './shape.ts'
import { itemPath } from './source-node.ts'

export function durationText(options: DurationOptions = {}): Shape<string> {
  return named('duration', withUnitHint(text(duration(options))))
}

/** A bare number is the usual slip: say what it lacks. */
function withUnitHint(shape: Shape<string>): Shape<string> {
  return {
    ...shape,
    read(node, path, reading) {
      if (node.type !== 'scalar' || typeof node.value !== 'number') {
        return shape.read(node, path, reading)
      }
      reading.report(path, {
        message: `must be a duration with a unit, got the number ${node.text}`,
        remedy: `Write ${node.text}s or ${node.text}ms.`,
      })
      return undefined
    },
  }
}

export function port(): Shape<number> {
  return named('port', int(portRange))
}

/** A port where 0 means "not set", as protobuf has it. */
export function portOrZero(): Shape<number> {
  return named('port', int({ min: 0, max: portRange.max }))
}

export function labels(): Shape<Readonly<Record<string, string>>> {
  return mapOf(text(labelValue), labelKey)
}

/** Ports of a workload by the service's port names. */
export function namedPorts(): Shape<Readonly<Record<string, number>>> {
  return mapOf(port(), checkHostLabelKey)
}

const checkHostLabelKey: Check<string> = (key) =>
  isIstioLabel(key)
    ? undefined
    : {
        message: `must be a port name (letters, digits and "-", at most 63), got "${clip(key)}"`,
        remedy: 'Use the name of a port of the service.',
      }

export interface ExportToOptions {
  /** `~`, no namespace at all: ServiceEntry only. */
  readonly isNobodyAllowed?: boolean
}

export function exportTo(options: ExportToOptions = {}): Shape<readonly string[]> {
  return refine(list(text(checkVisibility(options))), checkExportTo)
}

function checkVisibility({ isNobodyAllowed = false }: ExportToOptions): Check<string> {
  const words = isNobodyAllowed ? '".", "*", "~"' : '".", "*"'
  return (value) => {
    const isWord = value === '.' || value === '*' || (isNobodyAllowed && value === '~')
    if (isWord || isIstioLabel(value)) return undefined
    return {
      message: `must be ${words} or a namespace, got "${clip(value)}"`,
      remedy: 'Use "." for this namespace, "*" for all, or a namespace by name.',
    }
  }
}

function checkExportTo(namespaces: readonly string[], path: string, reading: Reading): void {
  reportRepeats(
    namespaces,
    (value) => (value === '.' ? reading.namespace : value),
    (index, key) => {
      reading.report(itemPath(path, index), {
        message: `namespace ${String(key)} is there twice ("." is this namespace)`,
        remedy: 'Name each namespace once.',
      })
    },
  )
  for (const word of ['*', '~']) {
    const index = namespaces.indexOf(word)
    if (index < 0 || namespaces.length === 1) continue
    reading.report(itemPath(path, index), {
      message: `"${word}" cannot be set together with other namespaces`,
      remedy: `Write ["${word}"] alone, or remove it.`,
    })
  }
}
