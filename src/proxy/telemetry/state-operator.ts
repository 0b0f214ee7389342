/** `%FILTER_STATE(KEY:HOW)%`: what a network filter said of a connection. The texts that we have are their own JSON, too. */
import { type Compiled, compiled, refused } from '../config/compiled.ts'
import type { LogOperator } from './log-source.ts'

export function stateOperator(argument: string, lengthMax?: number): Compiled<LogOperator> {
  const [key = '', kind = '', field = ''] = argument.split(':')
  const here = `%FILTER_STATE(${argument})%`
  const how = kind === '' ? 'TYPED' : kind
  if (key === '') return refused(`${here}: a key is required`)
  if (!['PLAIN', 'TYPED', 'FIELD'].includes(how)) {
    return refused(`${here}: PLAIN, TYPED or FIELD expected`)
  }
  if ((how === 'FIELD') !== (field !== '')) {
    return refused(`${here}: FIELD, and no other, needs the name of a field`)
  }
  // No object that can be here has fields.
  if (how === 'FIELD') return compiled(() => undefined)
  return compiled(({ filterState }) => {
    const text = filterState?.[key]
    if (text === undefined) return undefined
    if (how === 'PLAIN') return text.slice(0, lengthMax)
    const json = JSON.stringify(text)
    return { json, text: json.slice(0, lengthMax) }
  })
}
