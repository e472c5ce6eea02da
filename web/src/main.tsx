import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/search.css';
import './styles/first-run.css';
import './styles/trace.css';
import './styles/services.css';
import './styles/compare.css';
import './styles/node.css';
import { App } from './app';

render(<App />, document.getElementById('app') as HTMLElement);
