// A worker thread that serves the engines of the tests.

import { serveEngines } from '../../src/sys/engineServer.ts'

const load = () => import('./engines.ts')
const names = Object.keys(await load())

serveEngines({ ...Object.fromEntries(names.map((name) => [name, load])), exportedNowhere: load })
