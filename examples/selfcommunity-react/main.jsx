import {SCContextProvider} from '@selfcommunity/react-core';
import theme from '@selfcommunity/react-theme-default';
import '@selfcommunity/react-theme-default/fonts/community-icons.css';
import {PrivateMessageComponent} from '@selfcommunity/react-ui';
import {createRoot} from 'react-dom/client';

const portal = import.meta.env.VITE_PORTAL ?? 'http://127.0.0.1:8080';

// In your site: the token that your backend makes for whoever is signed in. Here it stands in the address, behind the #.
const accessToken = location.hash.slice(1);

// Made once: a new object at every rendering would set the page up anew.
const conf = {
  portal,
  session: {type: 'JWT', authToken: {accessToken}},
  notifications: {webSocket: {secure: portal.startsWith('https:')}},
  locale: {default: 'en'},
  theme,
};

createRoot(document.getElementById('messages')).render(
  <SCContextProvider conf={conf}>
    {/* The component calls this without asking whether it is there, when a conversation has become empty. */}
    <PrivateMessageComponent onSingleMessageOpen={() => {}} />
  </SCContextProvider>
);
