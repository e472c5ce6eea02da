import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/search.css';
import './styles/first-run.css';
import './styles/trace.css';
import './styles/services.css';
import './styles/compare.css';
import './styles/node.css';
import './styles/keys.css';
import { ahead } from './api';
import { App } from './app';
import { searchAhead } from './pages/search';
import { route } from './state';

// The answer is on its way while the page is drawn.
const { page, argument, params } = route.value;
if (page === 'trace') ahead.trace(argument);
else if (page === 'search') searchAhead(params);
render(<App />, document.getElementById('app') as HTMLElement);
