/** A source of views for tests of the ADS server: the same resources for every client, changed at will. */
import { encodedResource } from '../../src/xds/encode.ts'
import {
  typeUrls,
  type EncodedResource,
  type ResourceView,
  type StreamNode,
  type ViewSource,
} from '../../src/xds/resource-set.ts'

/** Contents by type and name; a content is any text. */
export type TestResources = Partial<Record<keyof typeof typeUrls, Readonly<Record<string, string>>>>

export class TestSource implements ViewSource {
  readonly #listeners = new Set<() => void>()
  #revision = 0
  #view: ResourceView

  constructor(resources: TestResources = {}) {
    this.#view = createView(resources, 0)
  }

  get view(): ResourceView {
    return this.#view
  }

  set(resources: TestResources): void {
    this.setView(createView(resources, ++this.#revision))
  }

  setView(view: ResourceView): void {
    this.#view = view
    for (const listener of this.#listeners) listener()
  }

  viewOf(_node: StreamNode): ResourceView {
    return this.#view
  }

  onChange(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }
}

export function createView(resources: TestResources, revision: number): ResourceView {
  const maps = new Map<string, ReadonlyMap<string, EncodedResource>>()
  for (const [kind, contents] of Object.entries(resources)) {
    const typeUrl = typeUrls[kind as keyof typeof typeUrls]
    const entries = Object.entries(contents).map(
      ([name, content]) => [name, testResource(typeUrl, name, content)] as const,
    )
    maps.set(typeUrl, new Map(entries))
  }
  const none = new Map<string, EncodedResource>()
  return { revision: String(revision), resources: (typeUrl) => maps.get(typeUrl) ?? none }
}

/** Field 1 is the name, as in every xDS resource; the content stands in a field that none of them has. */
export function testResource(typeUrl: string, name: string, content: string): EncodedResource {
  const value = Buffer.concat([field(1, name), field(2_000, content)])
  return encodedResource(name, typeUrl, value)
}

/** The content of a resource made by `testResource`. */
export function contentOf(value: Uint8Array): string {
  const text = Buffer.from(value)
  const nameBytes = text[1] ?? 0
  return text.subarray(2 + nameBytes + 3).toString()
}

function field(number: number, text: string): Buffer {
  const bytes = Buffer.from(text)
  const tag = (number << 3) | 2
  const tagBytes = tag < 128 ? [tag] : [(tag & 127) | 128, tag >> 7]
  return Buffer.concat([Buffer.from([...tagBytes, bytes.byteLength]), bytes])
}
