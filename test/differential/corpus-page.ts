/** Renders docs/reference/http-corpus.md from the corpus: what each proxy makes of each case, and why ours differs from Envoy. */
import { requestCorpus, responseCorpus, http2Corpus } from './corpus.ts'

export function renderCorpusPage(): string {
  const requests = requestCorpus()
  const responses = responseCorpus()
  return [
    '# What proxies make of HTTP at its edges',
    '',
    'Written by `UPDATE_DOCS=1 npm test -- tidy` from [test/corpus](../../test/corpus), which holds the bytes of each case.',
    'Every case is sent to Tulle in one piece and split at every byte, with the same outcome, and what goes on is read as the',
    "same messages by Node's llhttp, Go's net/http, Python's http.server and nginx. Tulle and Envoy 1.40 are asked again at each",
    'run of the tests; HAProxy 2.6 and nginx 1.22 were asked on 2026-11-26. Statuses are those that a client gets; `-` is none.',
    '',
    '## Where Tulle and Envoy differ',
    '',
    ...table(
      ['Case', 'What comes', 'Envoy', 'Tulle', 'Why'],
      [...requests, ...responses]
        .filter(({ why }) => why !== undefined)
        .map(({ name, point, outcome, why = '' }) => [
          code(name),
          point,
          outcome.envoy,
          outcome.tulle,
          why,
        ]),
    ),
    '',
    '## Requests',
    '',
    ...table(
      ['Case', 'What comes', 'Tulle', 'Envoy', 'HAProxy', 'nginx'],
      requests.map(({ name, point, outcome }) => [
        code(name),
        point,
        outcome.tulle,
        outcome.envoy,
        outcome.haproxy,
        outcome.nginx,
      ]),
    ),
    '',
    '## Responses',
    '',
    "Two requests are sent on one connection; the first gets what comes. Node's client and Go's net/http read the same.",
    '',
    ...table(
      ['Case', 'What comes', 'Tulle', 'Envoy'],
      responses.map(({ name, point, outcome }) => [
        code(name),
        point,
        outcome.tulle,
        outcome.envoy,
      ]),
    ),
    '',
    '## Requests in HTTP/2 to an upstream in HTTP/1.1',
    '',
    '`reset 1` is RST_STREAM with PROTOCOL_ERROR. [Envoy is asked the same](../../test/conformance/http2-parity.test.ts) about its own cases.',
    '',
    ...table(
      ['Case', 'What comes', 'Tulle'],
      http2Corpus().map(({ name, point, outcome }) => [code(name), point, outcome.tulle]),
    ),
    '',
  ].join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map(escaped).join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)]
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
