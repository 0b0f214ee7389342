/**
 * Keeps the version of a VirtualService that is in force while a newer one names a host or subset that does not
 * exist.
 *
 * Istio accepts such a change and answers 503 (NC). Here it is held back until what it names exists, if the
 * version in force did not name it too: a first version, and a host that goes away later, behave as in Istio.
 * It also makes the order of files in one change irrelevant: a route waits for its DestinationRule.
 */
import { runToEnd, type Steps } from '../lib/steps.ts'
import type { Resource } from '../model/resource.ts'
import { danglingReferences, referencesOf, type Reference } from './dangling.ts'
import type { TranslationInput } from './input.ts'
import { isVirtualService } from './virtual-service-index.ts'
import { buildWorldInSteps, type World } from './world.ts'

export interface Admission {
  /** The input as it came. */
  readonly newest: TranslationInput
  /** The input with versions that are held back replaced by those in force. */
  readonly effective: TranslationInput
  /** Versions that are held back. */
  readonly held: ReadonlySet<Resource>
  /** Of the effective input. */
  readonly world: World
}

export function admit(input: TranslationInput, previous: Admission | undefined): Admission {
  return runToEnd(admitInSteps(input, previous))
}

/** The same, for a control plane that has others to serve meanwhile. */
export function* admitInSteps(
  input: TranslationInput,
  previous: Admission | undefined,
): Steps<Admission> {
  const world = yield* buildWorldInSteps(input, previous?.world)
  yield
  const held = new Set<Resource>()
  const inForce = previous?.effective.resources
  if (inForce === undefined || inForce === input.resources) {
    return { newest: input, effective: input, held, world }
  }
  const replaced = new Map<string, Resource>()
  for (const [key, resource] of input.resources) {
    const current = inForce.get(key)
    if (current === undefined || current === resource) continue
    if (!isVirtualService(resource) || !isVirtualService(current)) continue
    yield
    const known = new Set(referencesOf(current).map(referenceKey))
    if (danglingReferences(world, resource).every((one) => known.has(referenceKey(one)))) continue
    held.add(resource)
    replaced.set(key, current)
  }
  if (held.size === 0) return { newest: input, effective: input, held, world }
  const resources = new Map([...input.resources, ...replaced])
  const effective = { ...input, resources }
  const worldInForce = yield* buildWorldInSteps(effective, world)
  return { newest: input, effective, held, world: worldInForce }
}

function referenceKey({ kind, host, subset }: Reference): string {
  return `${kind} ${host} ${subset}`
}
