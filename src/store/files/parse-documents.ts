/** The model's parser in the form that a file source takes. */
import { parseTextInSteps } from '../../model/parse.ts'
import type { ParseText } from './loaded-file.ts'

/** `namespace` is that of resources that name none. */
export function createDocumentParser(namespace = 'default'): ParseText {
  return function* parse(text, file) {
    const documents = yield* parseTextInSteps(text, file, { namespace })
    return {
      resources: documents.flatMap(({ resource }) => resource ?? []),
      issues: documents.flatMap(({ issues }) => issues),
      brokenKeys: documents.flatMap(({ resource, key }) =>
        resource === undefined && key !== undefined ? [key] : [],
      ),
      isUnreadable: documents.some((document) => document.isUnreadable),
    }
  }
}
