/** URI templates: what they match, and the paths that they make. */
import { type RouteStory, path, to } from './route-story.ts'

const at = 'type.googleapis.com/envoy.extensions.path'

/** `rewritten` is the template of the new path. */
function template(
  name: string,
  [text, rewritten]: readonly [text: string, rewritten: string],
  paths: readonly string[],
): RouteStory {
  const route = {
    name: 'story',
    match: {
      path_match_policy: {
        name: 'envoy.path.match.uri_template.uri_template_matcher',
        typed_config: {
          '@type': `${at}.match.uri_template.v3.UriTemplateMatchConfig`,
          path_template: text,
        },
      },
    },
    route: {
      ...to,
      ...(rewritten !== '' && {
        path_rewrite_policy: {
          name: 'envoy.path.rewrite.uri_template.uri_template_rewriter',
          typed_config: {
            '@type': `${at}.rewrite.uri_template.v3.UriTemplateRewriteConfig`,
            path_template_rewrite: rewritten,
          },
        },
      }),
    },
  }
  return { name, routes: [route], asks: paths.map(path) }
}

export const templates: readonly RouteStory[] = [
  template(
    'two variables',
    ['/shop/{item}/{size}', '/{size}/{item}'],
    [
      '/shop/cap/xl?colour=red',
      '/shop/cap',
      '/shop/cap/xl/',
      '/SHOP/cap/xl',
      '/shop//xl',
      '/shop/c%20p/x=l',
      '/shop/c*p/xl',
    ],
  ),
  template(
    'text to the end',
    ['/files/{user}/{name=**}', '/{name}/of-{user}'],
    ['/files/ann/a/b/c.txt?d', '/files/ann/', '/files/ann/*/b', '/files/ann'],
  ),
  template(
    'suffix',
    ['/live/{id=*}/**.ts', '/{id}'],
    ['/live/7/a.ts', '/live/7/b/a.ts', '/live/7/a.mp4'],
  ),
  template(
    'variable with a suffix',
    ['/{path=**}.json', '/data/{path}'],
    ['/a/b.json', '/.json', '/a.json/'],
  ),
  template(
    'path in a variable',
    ['/v/{middle=*/part/*}/end', '/{middle}'],
    ['/v/1/part/2/end', '/v/1/2/end'],
  ),
  template('equals in a variable', ['/e/{code==na/*}', '/{code}'], ['/e/=na/x', '/e/na/x']),
  template(
    'characters of regular expressions',
    ['/a.b/(c)/$d+/*', ''],
    ['/a.b/(c)/$d+/x', '/aXb/(c)/$d+/x'],
  ),
  template('slash at the end', ['/s/*/', ''], ['/s/a/', '/s/a']),
  template('root', ['/', '/new'], ['/', '/?q', '/a']),
  template('variables side by side', ['/j/{a}/{b}', '/{a}{b}-{a}'], ['/j/1/2']),
]
